"""How many points of a loss surface a second: fedscape, a plain loop, and the package `loss-landscapes`.

All evaluate the same ConvNet on the same images, on the same grid over the plane through the same three
models, with the same number of threads. In each repetition every one of them makes the whole grid once, in
turns, so that noise hits all alike; each in a process of its own, since the memory that one has freed
changes the speed of the next. Their losses are compared first: who computes something else does not count.

    .venv/bin/pip install -r benchmarks/requirements-surface.txt
    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/surface.py --cifar results/data/cifar10
"""

import argparse
import copy
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from fedscape.data.partition import make_partition, open_partition
from fedscape.data.prepare import prepare_dataset
from fedscape.federated.device import prepare_device
from fedscape.job import keep_freed_memory
from fedscape.landscape.refine import checked, filled_losses, on_nodes
from fedscape.models.build import random_model
from fedscape.models.evaluate import Precision, evaluate, normalise
from fedscape.models.layout import flatten, parameters_of
from fedscape.models.subject import Subject, open_subject

try:
    import loss_landscapes
    from loss_landscapes.metrics import Loss, Metric
except ImportError:
    loss_landscapes, Metric = None, object

LOADER_BATCH = 128  # what training scripts hand to their DataLoader
DIGITS_SIDE, CIFAR_SIDE, CUDA_SIDE = 11, 5, 51  # points per side
CIFAR_IMAGES = 2_000  # on a CPU; the time per point grows with their number for all alike
COARSE = 2
SAME = 1e-3  # relative difference of losses that are summed in another order, at most
ROUGHLY = {"bf16": 0.05, "nd point": 0.2}  # where the numbers are others
REFERENCE = "fedscape"


@dataclass(frozen=True)
class Case:
    """What is evaluated: prepared data, a partition of them, points per side, threads, device."""

    title: str
    dataset: Path
    partition: Path
    side: int
    threads: int
    device: str = "cpu"


@dataclass(frozen=True)
class Ground:
    """The plane start + x * directions[0] + y * directions[1], `side` points along x and along y."""

    subject: Subject
    start: Tensor
    directions: Tensor
    side: int

    def point(self, i: int, j: int) -> Tensor:
        """Parameters [P], at the places of `loss_landscapes.planar_interpolation`."""
        return self.start + i / self.side * self.directions[0] + (j + 1) / self.side * self.directions[1]

    def points(self) -> Iterator[Tensor]:
        """All points, row after row."""
        return (self.point(i, j) for i in range(self.side) for j in range(self.side))

    def module(self, vector: Tensor) -> nn.Module:
        """The network with these parameters, in evaluation mode."""
        module = copy.deepcopy(self.subject.module).eval()
        module.load_state_dict(parameters_of(vector, self.subject.layout))
        return module

    def floats(self) -> tuple[Tensor, Tensor]:
        """All images, normalised, and their labels."""
        data = self.subject.train
        return normalise(data.inputs, data.mean, data.std), data.labels


def fedscape(ground: Ground, precision: Precision = "fp32") -> np.ndarray:
    """What the stage `surface` does at each point."""
    return np.array([_fedscape_loss(ground, point, precision) for point in ground.points()])


def fedscape_coarse(ground: Ground) -> np.ndarray:
    """The stage `surface` with `coarse: 2`: nodes, the fill, and the checks of the fill."""
    shape = (ground.side, ground.side)
    nodes = on_nodes(shape, COARSE)
    losses = np.full(shape, np.nan)
    for i, j in np.argwhere(nodes):
        losses[i, j] = _fedscape_loss(ground, ground.point(i, j))
    filled = filled_losses(losses[::COARSE, ::COARSE], COARSE)
    for i, j in np.argwhere(checked(~nodes, losses[::COARSE, ::COARSE, None], COARSE, seed=0)):
        filled[i, j] = _fedscape_loss(ground, ground.point(i, j))
    return filled.ravel()


def plain_loop(ground: Ground) -> np.ndarray:
    """Weights copied into a module, a pass over a DataLoader of float images, sums kept in Python."""
    module = ground.module(ground.start)
    loader = DataLoader(TensorDataset(*ground.floats()), batch_size=LOADER_BATCH)
    means = []
    with torch.no_grad():
        for point in ground.points():
            for parameter, values in zip(
                module.parameters(), parameters_of(point, ground.subject.layout).values(), strict=True
            ):
                parameter.copy_(values)
            loss, wrong, count = 0.0, 0, 0
            for images, labels in loader:
                logits = module(images)
                loss += cross_entropy(logits, labels, reduction="sum").item()
                wrong += (logits.argmax(dim=1) != labels).sum().item()
                count += len(labels)
            means.append(loss / count)
    return np.array(means)


class BatchedLoss(Metric):
    """The package's `Loss` takes one batch; this is the same over several, in fedscape's size."""

    def __init__(self, inputs: Tensor, labels: Tensor, size: int):
        self.batches = list(zip(inputs.split(size), labels.split(size), strict=True))

    def __call__(self, model) -> float:
        sums = [cross_entropy(model.forward(x), y, reduction="sum").item() for x, y in self.batches]
        return sum(sums) / sum(len(y) for _, y in self.batches)


def package(ground: Ground, batched: bool) -> np.ndarray:
    """`loss_landscapes.planar_interpolation` on the same plane: as `random_plane`, with directions of ours.

    Every second column of it is one step off along y (version 3.0.6 turns around before it moves on).
    """
    data = ground.floats()
    metric = BatchedLoss(*data, ground.subject.train.batch_size) if batched else Loss(cross_entropy, *data)
    corners = [ground.start, *(ground.start + direction for direction in ground.directions)]
    models = [ground.module(corner) for corner in corners]
    return loss_landscapes.planar_interpolation(*models, metric, steps=ground.side).ravel()


WAYS: dict[str, Callable[[Ground], np.ndarray]] = {
    REFERENCE: fedscape,
    "(a) plain loop with a DataLoader": plain_loop,
    "(b) loss-landscapes, one batch": lambda ground: package(ground, batched=False),
    "(b) loss-landscapes, fedscape's batches": lambda ground: package(ground, batched=True),
    "fedscape, bf16": lambda ground: fedscape(ground, "bf16"),
    f"fedscape, every {COARSE}nd point": fedscape_coarse,
    "(a) with freed memory kept, as fedscape's jobs do": plain_loop,
    "fedscape without that": fedscape,
}
GIVING_BACK = (
    "(a) plain loop with a DataLoader",
    "(b) loss-landscapes, one batch",
    "(b) loss-landscapes, fedscape's batches",
    "fedscape without that",
)  # ways in which the C library gives freed memory back to the system, as it does by default


@cache
def ground_of(case: Case) -> Ground:
    """The plane through three random ConvNets, and the train images of a partition."""
    torch.set_num_threads(case.threads)
    subject = open_subject("convnet", {}, case.dataset, case.partition, None, 0, prepare_device(case.device))
    shape, classes = tuple(subject.train.inputs.shape[1:]), 10
    models = [random_model("convnet", {}, shape, classes, seed).state_dict() for seed in range(3)]
    start, *ends = (flatten(model, subject.layout)[0].to(subject.device) for model in models)
    return Ground(subject, start, torch.stack([end - start for end in ends]), case.side)


def timed(name: str, case: Case) -> tuple[float, np.ndarray]:
    """Seconds of one way for the whole grid, and its losses; in a worker."""
    if name not in GIVING_BACK:
        keep_freed_memory()
    ground = ground_of(case)
    began = time.perf_counter()
    losses = WAYS[name](ground)
    return time.perf_counter() - began, losses


def compare(case: Case, repetitions: int) -> None:
    """Print the table of one data set."""
    names = [name for name in WAYS if loss_landscapes or "loss-landscapes" not in name]
    workers = {name: ProcessPoolExecutor(1, mp_context=get_context("spawn")) for name in names}
    try:
        # The first grid, which warms up, is not timed.
        check({name: workers[name].submit(timed, name, case).result()[1] for name in names}, case.side)
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for repetition in range(repetitions):
            first = repetition % len(names)
            for name in names[first:] + names[:first]:  # nobody always runs after the same other
                seconds[name].append(workers[name].submit(timed, name, case).result()[0])
    finally:
        for one in workers.values():
            one.shutdown()
    count = len(open_partition(case.partition).train)
    print(f"\n{case.title}: {case.side} x {case.side} points, {count:,} images, medians of {repetitions}\n")
    print("| | points per second | fedscape's speed over it | smallest, largest |")
    print("| --- | ---: | ---: | ---: |")
    for name, times in seconds.items():
        ratios = np.array(times) / seconds[REFERENCE]
        rate = case.side**2 / np.median(times)
        print(f"| {name} | {rate:.3g} | {np.median(ratios):.2f} | {ratios.min():.2f}, {ratios.max():.2f} |")
    if not loss_landscapes:
        print("(b) left out, not installed: pip install -r benchmarks/requirements-surface.txt")


def check(losses: dict[str, np.ndarray], side: int) -> None:
    """Stop if one of them does not compute what fedscape does."""
    expected = losses[REFERENCE].reshape(side, side)
    for name, found in losses.items():
        # Of the package, the columns that are in their place.
        columns = slice(None, None, 2) if "loss-landscapes" in name else slice(None)
        allowed = next((value for key, value in ROUGHLY.items() if key in name), SAME)
        off = np.abs(found.reshape(side, side) / expected - 1)[columns].max()
        if not off <= allowed:
            raise SystemExit(f"{name}: losses differ from fedscape's by {off:.2%}")


def on_cuda(case: Case) -> None:
    """Print how long a surface of the paper's size takes on a GPU."""
    ground = ground_of(case)
    count = len(ground.subject.train.labels)
    print(
        f"\n{case.title}, {torch.cuda.get_device_name()}: {case.side} x {case.side} points, {count:,} images"
    )
    for precision in ("fp32", "bf16"):
        _fedscape_loss(ground, ground.start, precision)  # the first point chooses kernels and allocates
        began = time.perf_counter()
        fedscape(ground, precision)
        print(f"{precision}: {time.perf_counter() - began:.1f} s")


def _fedscape_loss(ground: Ground, point: Tensor, precision: Precision = "fp32") -> float:
    subject = ground.subject
    return evaluate(subject.module, *subject.tensors(point, {}, "keep"), subject.train, precision).loss


def partition_of(dataset: Path, images: int | None, folder: Path) -> Path:
    """A partition of all images, or of so many."""
    names = dict.fromkeys(("study", "scale", "dataset", "model", "partition", "init", "method", "seed"), "*")
    npz = folder / f"{dataset.name}-{images or 'all'}.npz"
    make_partition(dataset_folder=dataset, scheme="iid", clients=10, settings={}, seed=0, partition_seed=0,
                   images=images, test_images=1, validation=0.0, identity=names, npz=npz,
                   csv=npz.with_suffix(".csv"))  # fmt: skip
    return npz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar", type=Path, help="folder of the prepared CIFAR-10 arrays")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {asked.threads} thread(s), torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        digits, cifar = folder / "digits", asked.cifar
        prepare_dataset("digits", "digits", {}, folder, digits)
        partition = partition_of(digits, None, folder)
        compare(Case("digits", digits, partition, DIGITS_SIDE, asked.threads), asked.repetitions)
        if cifar is None or not cifar.is_dir():
            print("\nCIFAR-10 left out: --cifar takes the folder of its prepared arrays")
            return
        partition = partition_of(cifar, CIFAR_IMAGES, folder)
        compare(Case("CIFAR-10", cifar, partition, CIFAR_SIDE, asked.threads), asked.repetitions)
        if torch.cuda.is_available():
            partition = partition_of(cifar, None, folder)
            on_cuda(Case("CIFAR-10", cifar, partition, CUDA_SIDE, asked.threads, "cuda"))


if __name__ == "__main__":
    main()
