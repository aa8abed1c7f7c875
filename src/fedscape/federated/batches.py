"""A client's batches: which samples each local step takes, and the step's random numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedscape.errors import FedscapeError
from fedscape.evaluation.batch_norm import has_batch_statistics
from fedscape.evaluation.evaluate import IMAGES, EvaluationSet
from fedscape.federated.aggregation_weights import UPDATE_VARIANCE, pieces
from fedscape.federated.augment import augment, changes_images, draw
from fedscape.federated.rule import Batch, Rule
from fedscape.jobs.streams import stream
from fedscape.settings.training import TrainingSettings

POSITIONS = "positions"


@dataclass(frozen=True)
class ClientTask:
    """One client's work in one round."""

    client: int
    positions: np.ndarray  # int64 [n]: the client's samples, as positions in the batch source's data
    epochs: int
    order: np.random.Generator  # draws the order of the samples, epoch by epoch
    augmentation: np.random.Generator
    draws: np.random.Generator  # of the rule's random numbers
    keep_path: bool = False  # whether the result has the models between the epochs


def client_task(
    training: TrainingSettings,
    rule: str,
    positions: np.ndarray,
    seed: int,
    order_seed: int,
    round_number: int,
    client: int,
    keep_path: bool = False,
) -> ClientTask:
    """The task of a client in a round; each of its draws comes from a stream of its own."""
    key = (round_number, client)
    epochs = training.local_epochs
    if not isinstance(epochs, int):
        low, high = epochs.uniform
        epochs = int(stream(seed, "epochs", *key).integers(low, high, endpoint=True))
    return ClientTask(
        client=client,
        positions=positions,
        epochs=epochs,
        order=stream(order_seed, "order", *key),
        augmentation=stream(seed, "augmentation", *key),
        draws=stream(seed, rule, *key),
        keep_path=keep_path,
    )


class BatchSource:
    """All clients' samples on the device that trains, and how batches are built of them."""

    def __init__(self, data: EvaluationSet, training: TrainingSettings, batch_statistics: bool):
        self.data = data
        self.training = training
        self._augments = changes_images(training.augmentation)
        if not data.has_pixels and (self._augments or training.augmentation.normalise == "client"):
            raise FedscapeError(
                "augmentation is for images of pixels from 0 to 255, and these samples are "
                + ("normalised already" if data.inputs.ndim == IMAGES else "sequences of tokens")
            )
        self._batch_statistics = batch_statistics

    @classmethod
    def of(cls, module: torch.nn.Module, data: EvaluationSet, training: TrainingSettings) -> "BatchSource":
        """The batch source of a network."""
        return cls(data, training, has_batch_statistics(module))

    def used_samples(self, samples: int) -> int:
        """The number of an epoch's samples that take part in its steps.

        All of them, but for a short last batch with `drop_last`, and a last batch of one sample in a network
        with batch norm: the statistics of one sample are no estimate, and PyTorch refuses them where its map
        is one pixel.
        """
        left = samples % self.training.batch_size
        if left and self.training.drop_last:
            return samples - left
        if self._batch_statistics:
            return 0 if self.training.batch_size == 1 else samples - (left == 1)
        return samples

    def steps(self, task: ClientTask) -> int:
        """Local steps that a task takes."""
        return task.epochs * -(-self.used_samples(len(task.positions)) // self.training.batch_size)

    def check(self, client: int, samples: int) -> None:
        """Refuse a client that could not take a single step."""
        used = self.used_samples(samples)
        if used > 0:
            self._check_steps(client, used)
            return
        batch = f"batch_size {self.training.batch_size}"
        if self.training.drop_last and samples < self.training.batch_size:
            raise FedscapeError(
                f"client {client} has {samples} samples and would never train with {batch} and "
                "drop_last: use a smaller batch_size, drop_last: false, or a partition with larger clients"
            )
        raise FedscapeError(
            f"client {client} has {samples} samples; with {batch} its batches have one sample, too few for "
            "batch norm: use batch_size >= 2 and clients of 2 samples or more, or a network without it"
        )

    def _check_steps(self, client: int, used: int) -> None:
        """Refuse a client whose one step has no variance, where the aggregation weights ask for it."""
        epochs = self.training.local_epochs
        fewest = epochs if isinstance(epochs, int) else epochs.uniform[0]
        if self.training.weights == UPDATE_VARIANCE and fewest * -(-used // self.training.batch_size) < 2:
            raise FedscapeError(
                f"client {client} makes a single step in a round, of which weights {UPDATE_VARIANCE} would "
                "need two: use a smaller batch_size or more local_epochs"
            )

    def normalisation(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        """Mean and deviation [C] with which a client's images are normalised."""
        if self.training.augmentation.normalise == "dataset":
            return self.data.mean, self.data.std
        channels, height, width = self.data.shape
        sums = torch.zeros(2, channels, dtype=torch.int64, device=self.data.inputs.device)
        for pixels in pieces(self.data, positions):
            sums += torch.stack([pixels.sum(dim=(0, 2, 3)), pixels.square().sum(dim=(0, 2, 3))])
        mean, square = sums.double() / (len(positions) * height * width)
        deviation = (square - mean.square()).clamp_min(0).sqrt()
        if not bool((deviation > 0).all()):
            raise FedscapeError("normalise: client needs images that differ; a client's channel is constant")
        return (mean / 255).float(), (deviation / 255).float()

    def draw(self, generator: np.random.Generator, samples: int) -> dict[str, np.ndarray]:
        """The random numbers of the augmentation of this many samples."""
        return draw(self.training.augmentation, generator, samples, self.data.inputs.shape[2:])

    def inputs(self, positions: Tensor, drawn: dict[str, Tensor], mean: Tensor, std: Tensor) -> Tensor:
        """Images float32 [..., C, H, W] at `positions` [...], augmented and normalised; or tokens [..., T].

        drawn: random numbers of the augmentation, [..., ...] each. mean, std: [C], or [A, C] for clients that
        are stacked in the first dimension of `positions`.
        """
        if not self.data.has_pixels:
            samples = self.data.inputs[positions]
            return samples if samples.is_floating_point() else samples.long()
        augmentation = self.training.augmentation
        whole = augmentation.resized_crop is not None
        images = (self.data.inputs[positions] if whole else self.data.shown(positions)) / 255
        if self._augments:
            flat = {name: values.flatten(0, positions.ndim - 1) for name, values in drawn.items()}
            size = self.data.shape[1:]
            images = augment(images.flatten(0, positions.ndim - 1), flat, augmentation, size)
            images = images.unflatten(0, positions.shape)
        if mean.ndim == 2:
            mean, std = mean[:, None], std[:, None]
        return (images - mean[..., None, None]) / std[..., None, None]


class ClientProgress:
    """A client's progress through its local steps."""

    def __init__(self, task: ClientTask, source: BatchSource, rule: Rule):
        self.task, self.source, self.rule = task, source, rule
        self.steps = source.steps(task)
        self.done = 0
        self.used = source.used_samples(len(task.positions))
        self.mean, self.std = source.normalisation(task.positions)
        self._batch = source.training.batch_size
        self._per_epoch = self.steps // task.epochs
        self._samples: dict[str, Tensor] = {}
        self._draws: list[dict[str, Tensor]] = []

    @property
    def finished(self) -> bool:
        return self.done == self.steps

    @property
    def at_epoch_end(self) -> bool:
        return self.done % self._per_epoch == 0

    @property
    def size(self) -> int:
        """Samples of the next step."""
        return min(self._batch, self.used - self.done % self._per_epoch * self._batch)

    def samples(self) -> dict[str, Tensor]:
        """The next step's positions and augmentation draws, by name, [b, ...] each."""
        if self.at_epoch_end:
            self._begin_epoch()
        start = self.done % self._per_epoch * self._batch
        return {name: values[start : start + self._batch] for name, values in self._samples.items()}

    def draws(self) -> dict[str, Tensor]:
        """The rule's random numbers for the next step; to be called after `samples`."""
        return self._draws[self.done % self._per_epoch] if self._draws else {}

    def _begin_epoch(self) -> None:
        task, device = self.task, self.source.data.inputs.device
        order = task.positions[task.order.permutation(len(task.positions))][: self.used]
        drawn = self.source.draw(task.augmentation, self.used)
        self._samples = _tensors({POSITIONS: order, **drawn}, device)
        sizes = [min(self._batch, self.used - start) for start in range(0, self.used, self._batch)]
        drawn = [self.rule.step_draws(task.draws, size) for size in sizes]
        self._draws = [_tensors(arrays, device) for arrays in drawn] if drawn[0] else []


def stacked_batch(clients: Sequence[ClientProgress]) -> Batch:
    """The next batch of several clients, of one size, with the clients as first dimension."""
    samples = [client.samples() for client in clients]
    draws = [client.draws() for client in clients]
    source = clients[0].source
    positions = torch.stack([values[POSITIONS] for values in samples])
    drawn = {
        name: torch.stack([values[name] for values in samples]) for name in samples[0] if name != POSITIONS
    }
    mean, std = clients[0].mean, clients[0].std
    if source.training.augmentation.normalise == "client":
        mean = torch.stack([client.mean for client in clients])
        std = torch.stack([client.std for client in clients])
    return Batch(
        inputs=source.inputs(positions, drawn, mean, std),
        labels=source.data.labels[positions],
        draws={name: torch.stack([values[name] for values in draws]) for name in draws[0]},
    )


def batch(client: ClientProgress) -> Batch:
    """The next batch of one client."""
    samples = client.samples()
    positions = samples.pop(POSITIONS)
    return Batch(
        inputs=client.source.inputs(positions, samples, client.mean, client.std),
        labels=client.source.data.labels[positions],
        draws=client.draws(),
    )


def _tensors(arrays: dict[str, np.ndarray], device: torch.device) -> dict[str, Tensor]:
    """Arrays as tensors on the device; float64, in which NumPy draws, as float32."""
    tensors = {name: torch.from_numpy(np.asarray(values)) for name, values in arrays.items()}
    return {
        name: (tensor.float() if tensor.is_floating_point() else tensor).to(device)
        for name, tensor in tensors.items()
    }
