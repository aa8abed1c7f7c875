"""Loss and error of a model on a fixed set of samples that lives on the device as it is stored."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from fedscape.data.storage import IMAGE, Dataset
from fedscape.errors import FedscapeError
from fedscape.evaluation.loss import LOSS, LOSS_SQUARED, MEASURES, Loss, cross_entropies, measures
from fedscape.evaluation.on_disk import OnDisk, copied_or_left
from fedscape.settings.evaluation import Precision

IMAGES = 1 + IMAGE
"""Dimensions of a batch of images; one of sequences of tokens has 2."""
CPU_BATCH, GPU_BATCH = 250, 2000
"""Images per forward pass: activations that stay in a processor's cache; enough to keep a GPU busy."""
BATCH_PIXELS = 32 * 32
"""Pixels of each of these images; of larger ones there are fewer, so that memory stays the same."""
CPU_TOKENS, GPU_TOKENS = 8_192, 131_072
"""Tokens per forward pass; attention's memory grows with the length of a sequence, too."""

Step = Callable[[nn.Module, dict[str, Tensor], Tensor, Tensor, Loss], Tensor]
"""What `evaluation_step` computes, by whatever means."""


@dataclass(frozen=True)
class Evaluation:
    """Means over the samples with their standard errors; cross-entropy in nats, error as a fraction.

    The loss and the error of a sequence are the means over its tokens.
    """

    loss: float
    loss_se: float
    error: float
    error_se: float
    samples: int

    @property
    def accuracy(self) -> float:
        """Fraction of the samples that are classified correctly."""
        return 1.0 - self.error


class SampleSet(Protocol):
    """Samples and their labels on one device: an `EvaluationSet`, or others that networks take."""

    @property
    def labels(self) -> Tensor:
        """int64 [n], or [n, T] of sequences; for another loss than cross-entropy its targets [n, ...]."""
        ...

    @property
    def loss(self) -> Loss:
        """What outputs and labels are compared by."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an input as a network is shown it."""
        ...

    @property
    def batch_size(self) -> int:
        """Samples of each of the `batches`, of which the last may be short."""
        ...

    def taken(self, rows: Tensor | slice) -> Tensor:
        """The inputs of these rows as a network takes them."""
        ...

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of inputs, as a network takes them, and labels, in the order of the set."""
        ...


@dataclass(frozen=True)
class EvaluationSet:
    """Inputs and their labels on one device, and how to normalise them.

    inputs: images uint8 [n, C, H, W] with labels int64 [n], or tokens int32 [n, T] with labels [n, T]; or
    images float32, which are taken as they are. mean, std: [C] of uint8 images; empty for others. border:
    pixels at each side of `inputs` that no network is shown, for random crops.
    """

    inputs: Tensor | OnDisk
    labels: Tensor
    mean: Tensor
    std: Tensor
    batch_size: int = CPU_BATCH
    border: int = 0
    loss: Loss = cross_entropies

    def __post_init__(self) -> None:
        if isinstance(self.inputs, Tensor) and self.inputs.is_floating_point() and self.has_pixels:
            raise FedscapeError(
                f"images of type {self.inputs.dtype}: an EvaluationSet takes uint8, 0 to 255, which it "
                "divides by 255 and normalises; give an empty mean and std with inputs that are "
                "normalised already"
            )

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        split: Literal["train", "test"],
        indices: np.ndarray,
        device: str | torch.device,
    ) -> "EvaluationSet":
        """Samples `indices` of one split, on the device; if they would fill it they stay on disk."""
        inputs = dataset.train_inputs if split == "train" else dataset.test_inputs
        labels = dataset.train_labels if split == "train" else dataset.test_labels
        return cls(
            inputs=copied_or_left(inputs, indices, torch.device(device)),
            labels=torch.from_numpy(np.asarray(labels[indices], dtype=np.int64)).to(device),
            mean=torch.tensor(dataset.mean, device=device),
            std=torch.tensor(dataset.std, device=device),
            batch_size=forward_batch_size(dataset.shape, torch.device(device)),
            border=dataset.border,
        )

    @property
    def has_pixels(self) -> bool:
        """Whether inputs are uint8 images, which are normalised, and not tokens or normalised already."""
        return len(self.mean) > 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an input as a network is shown it."""
        channels, *sides = self.inputs.shape[1:]
        return (channels, *(side - 2 * self.border for side in sides))

    def shown(self, rows: Tensor | slice) -> Tensor:
        """The inputs of these rows [...] without their border, as they are stored: [..., *shape]."""
        inputs = self.inputs[rows]
        if not self.border:
            return inputs
        middle = slice(self.border, -self.border)
        return inputs[..., middle, middle]

    def taken(self, rows: Tensor | slice) -> Tensor:
        """The inputs of these rows as a network takes them."""
        return prepared(self.shown(rows), self.mean, self.std)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of inputs, as a network takes them, and labels in order; the last may be short."""
        for start in range(0, len(self.labels), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self.taken(rows), self.labels[rows]


def prepared(inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Inputs [n, ...] as a network takes them: normalised images float32, or tokens int64."""
    if inputs.is_floating_point():
        return inputs
    return normalise(inputs, mean, std) if inputs.ndim == IMAGES else inputs.long()


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 images [n, C, H, W] -> float32 with the data set's train mean 0 and deviation 1 per channel."""
    return (images / 255 - mean[:, None, None]) / std[:, None, None]


def evaluation_step(
    module: nn.Module, tensors: dict[str, Tensor], inputs: Tensor, labels: Tensor, loss: Loss
) -> Tensor:
    """The `measures` of a batch; tensors: parameters and buffers instead of the module's own."""
    return measures(functional_call(module, tensors, (laid_out(inputs),), strict=True), labels, loss)


def evaluate(
    module: nn.Module,
    parameters: dict[str, Tensor],
    buffers: dict[str, Tensor],
    data: SampleSet,
    precision: Precision = "fp32",
    step: Step = evaluation_step,
) -> Evaluation:
    """Loss and error of `module` with these tensors instead of its own, in eval mode.

    One stateless pass; the mean weighs every sample the same, whatever the batches. A loss that is NaN or
    infinite stays so; a sample without a defined loss counts as an error. What the data's loss leaves
    undefined (`measures`) is NaN. step: what evaluates a batch.
    """
    sums = torch.zeros(MEASURES, dtype=torch.float64, device=data.labels.device)
    for values in _measured(module, parameters, buffers, data, precision, step):
        sums += values.sum(dim=1)
    return evaluation(sums, len(data.labels))


def evaluate_samples(
    module: nn.Module, parameters: dict[str, Tensor], buffers: dict[str, Tensor], data: SampleSet
) -> Tensor:
    """As `evaluate`, sample by sample: the `measures`, float64 [MEASURES, n]."""
    return torch.cat(list(_measured(module, parameters, buffers, data, "fp32")), dim=1)


def evaluate_groups(
    module: nn.Module,
    parameters: dict[str, Tensor],
    buffers: dict[str, Tensor],
    data: SampleSet,
    groups: Tensor,
    count: int,
    precision: Precision = "fp32",
    step: Step = evaluation_step,
) -> list[Evaluation]:
    """As `evaluate`, of all samples and then of those of each group 0 to count - 1, all from one pass.

    groups: int64 [n] on the data's device, the group of each sample; -1 for none. An empty group has NaN, as
    have all groups where the data's loss gives means of batches, not the losses of samples.
    """
    sums = torch.zeros(MEASURES, count + 1, dtype=torch.float64, device=data.labels.device)
    start = 0
    for values in _measured(module, parameters, buffers, data, precision, step):
        stop = start + values.shape[1]
        sums.index_add_(1, groups[start:stop] + 1, values)
        start = stop
    sizes = torch.bincount(groups + 1, minlength=count + 1).tolist()
    together = evaluation(sums.sum(dim=1), start)
    sums[LOSS] = sums[LOSS].where(~sums[LOSS_SQUARED].isnan(), torch.nan)
    return [together, *(evaluation(sums[:, group], sizes[group]) for group in range(1, count + 1))]


def forward_batch_size(shape: tuple[int, ...], device: torch.device) -> int:
    """Samples per forward pass, of inputs of this shape."""
    on_cpu = device.type == "cpu"
    if len(shape) == IMAGE:
        most = CPU_BATCH if on_cpu else GPU_BATCH
        return min(most, max(1, most * BATCH_PIXELS // (shape[1] * shape[2])))
    return max(1, (CPU_TOKENS if on_cpu else GPU_TOKENS) // shape[0])


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


def _measured(
    module: nn.Module,
    parameters: dict[str, Tensor],
    buffers: dict[str, Tensor],
    data: SampleSet,
    precision: Precision,
    step: Step = evaluation_step,
) -> Iterator[Tensor]:
    """The `measures` of every batch."""
    tensors = {**parameters, **buffers}
    half = torch.autocast(data.labels.device.type, torch.bfloat16, enabled=precision == "bf16")
    with mode(module, training=False), torch.inference_mode(), half:
        for inputs, labels in data.batches():
            yield step(module, tensors, inputs, labels, data.loss)


def laid_out(inputs: Tensor) -> Tensor:
    """The same values, images on a CPU in the format channels-last, which about halves a ConvNet's time.

    A copy, because images of one channel already count as channels-last, while what is computed from them
    would not be.
    """
    if inputs.device.type != "cpu" or inputs.ndim != IMAGES:
        return inputs
    return torch.empty_like(inputs, memory_format=torch.channels_last).copy_(inputs)


def evaluation(sums: Tensor, samples: int) -> Evaluation:
    """Means and standard errors from the sums of `measures` [MEASURES] over the samples; NaN without any."""
    loss_sum, loss_squares, errors, error_squares = sums.tolist()
    return Evaluation(
        loss=loss_sum / samples if samples else math.nan,
        loss_se=_standard_error(loss_sum, loss_squares, samples),
        error=errors / samples if samples else math.nan,
        error_se=_standard_error(errors, error_squares, samples),
        samples=samples,
    )


def _standard_error(total: float, square_total: float, samples: int) -> float:
    """Standard error of a mean from the sum and the sum of squares; NaN for one sample or undefined sums."""
    if samples < 2 or not math.isfinite(total) or not math.isfinite(square_total):
        return math.nan
    # Rounding may leave a spread of -1e-16 where all samples have the same value.
    spread = max(square_total - total**2 / samples, 0.0)
    return math.sqrt(spread / (samples - 1) / samples)
