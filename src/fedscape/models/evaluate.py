"""Loss and error of a model on a fixed set of images that lives on the device as uint8."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from fedscape.data.storage import Dataset

Precision = Literal["fp32", "bf16"]
"""Type in which convolutions and matrix products are computed; the loss itself is always float32."""
CPU_BATCH, GPU_BATCH = 250, 2000
"""Images per forward pass: activations that stay in a processor's cache; enough to keep a GPU busy."""


@dataclass(frozen=True)
class Evaluation:
    """Means over the samples with their standard errors; loss in nats, error as a fraction."""

    loss: float
    loss_se: float
    error: float
    error_se: float
    samples: int

    @property
    def accuracy(self) -> float:
        """Fraction of the samples that are classified correctly."""
        return 1.0 - self.error


@dataclass(frozen=True)
class EvaluationSet:
    """Images uint8 [n, C, H, W] and labels int64 [n] on one device, and how to normalise them."""

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    batch_size: int = CPU_BATCH

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        split: Literal["train", "test"],
        indices: np.ndarray,
        device: str | torch.device,
    ) -> "EvaluationSet":
        """Samples `indices` of one split of a data set, copied to the device."""
        images = dataset.train_images if split == "train" else dataset.test_images
        labels = dataset.train_labels if split == "train" else dataset.test_labels
        return cls(
            images=torch.from_numpy(np.array(images[indices])).to(device),
            labels=torch.from_numpy(np.array(labels[indices], dtype=np.int64)).to(device),
            mean=torch.tensor(dataset.mean, device=device),
            std=torch.tensor(dataset.std, device=device),
            batch_size=CPU_BATCH if torch.device(device).type == "cpu" else GPU_BATCH,
        )

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images and labels, in the order of the set; the last batch may be short."""
        for start in range(0, len(self.labels), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield normalise(self.images[rows], self.mean, self.std), self.labels[rows]


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 images [n, C, H, W] -> float32 with the data set's train mean 0 and deviation 1 per channel."""
    return (images / 255 - mean[:, None, None]) / std[:, None, None]


def evaluate(
    module: nn.Module,
    parameters: dict[str, Tensor],
    buffers: dict[str, Tensor],
    data: EvaluationSet,
    precision: Precision = "fp32",
) -> Evaluation:
    """Cross-entropy and error of `module` with the given tensors in the place of its own, in eval mode.

    One stateless pass; the mean weighs every sample the same, whatever the batches. A loss that is NaN or
    infinite stays so; a sample without a defined loss counts as an error.
    """
    sums = torch.zeros(3, dtype=torch.float64, device=data.labels.device)
    for measures in _measured(module, parameters, buffers, data, precision):
        sums += measures.sum(dim=1)
    return _evaluation(*sums.tolist(), len(data.labels))


def evaluate_groups(
    module: nn.Module,
    parameters: dict[str, Tensor],
    buffers: dict[str, Tensor],
    data: EvaluationSet,
    groups: Tensor,
    count: int,
    precision: Precision = "fp32",
) -> list[Evaluation]:
    """As `evaluate`, of all samples and then of those of each group 0 to count - 1, all from one pass.

    groups: int64 [n] on the data's device, the group of each sample; -1 for none. An empty group has NaN.
    """
    sums = torch.zeros(3, count + 1, dtype=torch.float64, device=data.labels.device)
    start = 0
    for measures in _measured(module, parameters, buffers, data, precision):
        stop = start + measures.shape[1]
        sums.index_add_(1, groups[start:stop] + 1, measures)
        start = stop
    sizes = torch.bincount(groups + 1, minlength=count + 1).tolist()
    return [
        _evaluation(*sums.sum(dim=1).tolist(), start),
        *(_evaluation(*sums[:, group].tolist(), sizes[group]) for group in range(1, count + 1)),
    ]


def has_batch_statistics(module: nn.Module) -> bool:
    """Whether the module keeps running statistics, so that a batch-norm policy means something."""
    return bool(_batch_statistics(module))


def recalibrated(
    module: nn.Module, parameters: dict[str, Tensor], buffers: dict[str, Tensor], data: EvaluationSet
) -> dict[str, Tensor]:
    """New buffers: batch-norm statistics of `parameters` measured afresh in one pass over the data.

    Every batch counts by its samples, as in `update_bn` of Garipov et al. (Loss Surfaces, Mode Connectivity,
    2018). Only the batch-norm layers are in train mode. Buffers that are no statistics are handed on.
    """
    fresh = {name: tensor.clone() for name, tensor in buffers.items()}
    layers = _batch_statistics(module)
    momenta = {name: layer.momentum for name, layer in layers.items()}
    for name in layers:
        prefix = f"{name}." if name else ""
        fresh[f"{prefix}running_mean"].zero_()
        fresh[f"{prefix}running_var"].fill_(1)
        fresh[f"{prefix}num_batches_tracked"].zero_()
    seen = 0
    try:
        with mode(module, training=False), torch.no_grad():
            for layer in layers.values():
                layer.train()
            for images, labels in data.batches():
                seen += len(labels)
                for layer in layers.values():
                    layer.momentum = len(labels) / seen
                functional_call(module, {**parameters, **fresh}, (images,), strict=True)
    finally:
        for name, layer in layers.items():
            layer.momentum = momenta[name]
    return fresh


@contextmanager
def mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Train or eval mode for a block; afterwards every layer has the mode it had."""
    before = [(layer, layer.training) for layer in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for layer, was_training in before:
            layer.training = was_training


def _batch_statistics(module: nn.Module) -> dict[str, _BatchNorm]:
    """The layers that keep running statistics, by name."""
    layers = ((name, layer) for name, layer in module.named_modules() if isinstance(layer, _BatchNorm))
    return {name: layer for name, layer in layers if layer.track_running_stats}


def _measured(
    module: nn.Module,
    parameters: dict[str, Tensor],
    buffers: dict[str, Tensor],
    data: EvaluationSet,
    precision: Precision,
) -> Iterator[Tensor]:
    """Per batch, of each sample: loss, its square, and whether the answer is wrong; float64 [3, b]."""
    tensors = {**parameters, **buffers}
    half = torch.autocast(data.labels.device.type, torch.bfloat16, enabled=precision == "bf16")
    with mode(module, training=False), torch.inference_mode(), half:
        for images, labels in data.batches():
            if images.device.type == "cpu":
                # Channels last takes a ConvNet about half of the time. A copy, because images of one channel
                # count as channels last as they are, but what is computed from them would not be.
                images = torch.empty_like(images, memory_format=torch.channels_last).copy_(images)
            logits = functional_call(module, tensors, (images,), strict=True)
            losses = cross_entropy(logits.float(), labels, reduction="none").double()
            wrong = (logits.argmax(dim=1) != labels) | losses.isnan()
            yield torch.stack([losses, losses.square(), wrong.double()])


def _evaluation(loss_sum: float, square_sum: float, errors: float, samples: int) -> Evaluation:
    """Means and standard errors from sums over the samples; NaN where there are none."""
    return Evaluation(
        loss=loss_sum / samples if samples else math.nan,
        loss_se=_standard_error(loss_sum, square_sum, samples),
        error=errors / samples if samples else math.nan,
        error_se=_standard_error(errors, errors, samples),
        samples=samples,
    )


def _standard_error(total: float, square_total: float, samples: int) -> float:
    """Standard error of a mean from the sum and the sum of squares; NaN for one sample or undefined sums."""
    if samples < 2 or not math.isfinite(total) or not math.isfinite(square_total):
        return math.nan
    # Rounding may leave a spread of -1e-16 where all samples have the same value.
    spread = max(square_total - total**2 / samples, 0.0)
    return math.sqrt(spread / (samples - 1) / samples)
