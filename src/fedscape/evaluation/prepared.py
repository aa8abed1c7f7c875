"""Samples of a user's own, as a network takes them: from tensors, a Dataset or a DataLoader."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fedscape.data.storage import IMAGE
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import CPU_BATCH, GPU_BATCH, SampleSet, forward_batch_size
from fedscape.evaluation.loss import Loss, cross_entropies
from fedscape.evaluation.trial import check_samples

Samples = SampleSet | Dataset | DataLoader | Sequence[Tensor]
"""Tensors (inputs [n, ...], targets [n, ...]); a Dataset of such pairs; a DataLoader of batches of them; or a
set as fedscape evaluates it."""


@dataclass(frozen=True)
class PreparedSet:
    """Samples as a network takes them, in place of an `EvaluationSet`.

    inputs: [n, ...], images normalised already, or tokens. labels: the targets [n, ...] that the loss takes
    beside the outputs; of cross-entropy int64, [n], or [n, ...] where a sample has several predictions.
    """

    inputs: Tensor
    labels: Tensor
    batch_size: int = CPU_BATCH
    loss: Loss = cross_entropies

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an input."""
        return tuple(self.inputs.shape[1:])

    def taken(self, rows: Tensor | slice) -> Tensor:
        """The inputs of these rows."""
        return self.inputs[rows]

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels in the order of the set; the last batch may be short."""
        yield from zip(self.inputs.split(self.batch_size), self.labels.split(self.batch_size), strict=True)


def prepared_set(name: str, source: Samples, module: nn.Module, loss: Loss = cross_entropies) -> SampleSet:
    """Samples on the module's device, their numbers in its type; a SampleSet stays as it is.

    name: of the samples in messages. A DataLoader is read once, in its order; the targets of cross-entropy
    become int64. Raises FedscapeError for uint8 inputs, which nobody has normalised, for unequal counts, for
    targets of cross-entropy that are no classes, and for a loss that is a sum over the samples.
    """
    if isinstance(source, DataLoader):
        inputs, labels = (torch.cat(part) for part in _columns(name, source))
    elif isinstance(source, Dataset) and hasattr(source, "__len__"):
        pairs = (source[index] for index in range(len(cast(Sequence, source))))
        inputs, labels = (torch.stack(part) for part in _columns(name, pairs))
    elif isinstance(source, Sequence) and [isinstance(part, Tensor) for part in source] == [True, True]:
        inputs, labels = source
    elif hasattr(source, "batches"):
        return cast(SampleSet, source)
    else:
        raise FedscapeError(
            f"{name}: got {type(source).__name__}; allowed are a pair of tensors (inputs, targets), a "
            "Dataset with a length, a DataLoader"
        )
    if inputs.dtype == torch.uint8:
        raise FedscapeError(f"{name}: inputs are uint8; give them normalised, or as an EvaluationSet")
    if len(inputs) != len(labels):
        raise FedscapeError(f"{name}: {len(inputs)} inputs, but {len(labels)} labels")
    if not len(inputs):
        raise FedscapeError(f"{name}: no samples")
    like = next(module.parameters(), None)
    if like is None:
        raise FedscapeError(f"network: {type(module).__name__} has no parameters")
    if loss is cross_entropies:
        labels = _classes(name, labels)
    inputs, labels = (
        tensor.to(like) if tensor.is_floating_point() else tensor.to(like.device)
        for tensor in (inputs, labels)
    )
    check_samples(name, module, inputs, labels, loss)
    return PreparedSet(inputs, labels, _batch_size(inputs, like.device), loss)


def _classes(name: str, targets: Tensor) -> Tensor:
    """Targets of cross-entropy as int64; FedscapeError for others than whole numbers."""
    classes = targets.long()
    if not torch.equal(classes.to(targets.dtype), targets):
        raise FedscapeError(
            f"{name}: targets are {targets.dtype}, not all whole; cross-entropy takes whole numbers of "
            "classes, other targets need another loss"
        )
    return classes


def _columns(name: str, pairs) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and targets of pairs, or of batches of them."""
    inputs, labels = [], []
    for pair in pairs:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise FedscapeError(f"{name}: gives {type(pair).__name__}, not pairs (inputs, targets)")
        inputs.append(torch.as_tensor(pair[0]))
        labels.append(torch.as_tensor(pair[1]))
    if not inputs:
        raise FedscapeError(f"{name}: no samples")
    return inputs, labels


def _batch_size(inputs: Tensor, device: torch.device) -> int:
    """Fewer of large images; otherwise as many as of small ones."""
    if inputs.ndim == 1 + IMAGE:
        return forward_batch_size(tuple(inputs.shape[1:]), device)
    return CPU_BATCH if device.type == "cpu" else GPU_BATCH
