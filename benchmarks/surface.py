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
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from measured import Options, Place, Table
from runs import digits, divide
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from turns import Way, in_turns

from fedscape.checkpoints.layout import flatten, parameters_of
from fedscape.evaluation.compiled import compiled_step
from fedscape.evaluation.evaluate import Step, evaluate, evaluation_step, normalise
from fedscape.evaluation.problem import Problem, ProblemSpec, open_problem
from fedscape.landscape.refine import check_points, filled_losses, on_nodes
from fedscape.landscape.within import fill_within
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.settings.evaluation import Precision

try:
    import loss_landscapes
    from loss_landscapes.metrics import Loss, Metric
except ImportError:
    loss_landscapes, Metric = None, object

LOADER_BATCH = 128  # what training scripts hand to their DataLoader
DIGITS_SIDE, CIFAR_SIDE, CUDA_SIDE = 11, 5, 51  # points per side
CIFAR_IMAGES = 2_000  # on a CPU; the time per point grows with their number for all alike
CLIENTS = 10  # whose samples together are evaluated
COARSE = 2
ERROR = 0.01
SAME = 1e-3  # relative difference of losses that are summed in another order, at most
ROUGHLY = {"bf16": 0.05, "nd point": 0.2, "within": 0.2}  # where the numbers are others
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

    problem: Problem
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
        module = copy.deepcopy(self.problem.module).eval()
        module.load_state_dict(parameters_of(vector, self.problem.layout))
        return module

    def floats(self) -> tuple[Tensor, Tensor]:
        """All images, normalised, and their labels."""
        data = self.problem.train
        return normalise(data.inputs, data.mean, data.std), data.labels


def fedscape(ground: Ground, precision: Precision = "fp32", step: Step = evaluation_step) -> np.ndarray:
    """What the stage `surface` does at each point."""
    return np.array([_fedscape_loss(ground, point, precision, step) for point in ground.points()])


def fedscape_coarse(ground: Ground) -> np.ndarray:
    """The stage `surface` with `coarse: 2`: nodes, the fill, and the checks of the fill."""
    shape = (ground.side, ground.side)
    nodes = on_nodes(shape, COARSE)
    losses = np.full(shape, np.nan)
    for i, j in np.argwhere(nodes):
        losses[i, j] = _fedscape_loss(ground, ground.point(i, j))
    filled = filled_losses(losses[::COARSE, ::COARSE], COARSE)
    for i, j in np.argwhere(check_points(~nodes, losses[::COARSE, ::COARSE, None], COARSE, seed=0)):
        filled[i, j] = _fedscape_loss(ground, ground.point(i, j))
    return filled.ravel()


def fedscape_within(ground: Ground, step: Step = evaluation_step) -> np.ndarray:
    """The stage `surface` with `error: 0.01`."""
    known = np.full((ground.side, ground.side), np.nan)

    def losses(asked: np.ndarray) -> np.ndarray:
        for i, j in np.argwhere(asked):
            known[i, j] = _fedscape_loss(ground, ground.point(i, j), step=step)
        return known[:, :, None]

    filled = fill_within(ERROR, losses, known.shape, seed=0)
    return np.where(filled.points, filled.losses[:, :, 0], known).ravel()


def plain_loop(ground: Ground) -> np.ndarray:
    """Weights copied into a module, a pass over a DataLoader of float images, sums kept in Python."""
    module = ground.module(ground.start)
    loader = DataLoader(TensorDataset(*ground.floats()), batch_size=LOADER_BATCH)
    means = []
    with torch.no_grad():
        for point in ground.points():
            for parameter, values in zip(
                module.parameters(), parameters_of(point, ground.problem.layout).values(), strict=True
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
    metric = BatchedLoss(*data, ground.problem.train.batch_size) if batched else Loss(cross_entropy, *data)
    corners = [ground.start, *(ground.start + direction for direction in ground.directions)]
    models = [ground.module(corner) for corner in corners]
    return loss_landscapes.planar_interpolation(*models, metric, steps=ground.side).ravel()


@cache
def kept_step() -> Step:
    """The compiled step of this process, which the first turn compiles."""
    return compiled_step()


WAYS: dict[str, Callable[[Ground], np.ndarray]] = {
    REFERENCE: fedscape,
    "(a) plain loop with a DataLoader": plain_loop,
    "(b) loss-landscapes, one batch": lambda ground: package(ground, batched=False),
    "(b) loss-landscapes, fedscape's batches": lambda ground: package(ground, batched=True),
    "fedscape, compiled": lambda ground: fedscape(ground, step=kept_step()),
    "fedscape, bf16": lambda ground: fedscape(ground, "bf16"),
    "fedscape, bf16, compiled": lambda ground: fedscape(ground, "bf16", kept_step()),
    f"fedscape, every {COARSE}nd point": fedscape_coarse,
    f"fedscape, within {ERROR:.0%}": fedscape_within,
    f"fedscape, within {ERROR:.0%}, compiled": lambda ground: fedscape_within(ground, kept_step()),
    "(a) with freed memory kept, as fedscape's jobs do": plain_loop,
    "fedscape without freed memory kept": fedscape,
}
GIVING_BACK = (
    "(a) plain loop with a DataLoader",
    "(b) loss-landscapes, one batch",
    "(b) loss-landscapes, fedscape's batches",
    "fedscape without freed memory kept",
)  # ways in which the C library gives freed memory back to the system, as it does by default


@cache
def ground_of(case: Case) -> Ground:
    """The plane through three random ConvNets, and the train images of a partition."""
    torch.set_num_threads(case.threads)
    problem = open_problem(ProblemSpec(Plugin("convnet"), case.dataset, case.partition, device=case.device))
    shape, classes = tuple(problem.train.inputs.shape[1:]), 10
    models = [random_model("convnet", {}, shape, classes, seed).state_dict() for seed in range(3)]
    start, *ends = (flatten(model, problem.layout)[0].to(problem.device) for model in models)
    return Ground(problem, start, torch.stack([end - start for end in ends]), case.side)


def timed(name: str, case: Case) -> tuple[float, np.ndarray]:
    """Seconds of one way for the whole grid, and its losses; in a worker."""
    ground = ground_of(case)
    began = time.perf_counter()
    losses = WAYS[name](ground)
    return time.perf_counter() - began, losses


def compare(case: Case, asked: argparse.Namespace, place: Place) -> None:
    """Print the table of one data set."""
    known = [name for name in WAYS if loss_landscapes or "loss-landscapes" not in name]
    if strange := [word for word in asked.ways if not any(word in name for name in known)]:
        raise SystemExit(f"--ways {strange[0]!r}: in the name of no way; there are {'; '.join(known)}")
    names = [name for name in known if name == REFERENCE or any(word in name for word in asked.ways)]
    ways = {name: Way(partial(timed, name, case), name not in GIVING_BACK) for name in names}
    turns = in_turns(ways, asked.repetitions, case.threads, together=asked.smallest)
    check({name: every[0][1] for name, every in turns.items()}, case.side)
    seconds = {name: np.array([taken for taken, _ in every[1:]]) for name, every in turns.items()}
    count = len(ground_of(case).problem.train.labels)
    print(f"\n{case.title}: {case.side} x {case.side} points, {count:,} images, ", end="")
    print(f"medians of {asked.repetitions}\n")
    table = Table(place, "", "points per second", "fedscape's speed over it", "smallest, largest")
    for name, times in seconds.items():
        ratios = times / seconds[REFERENCE]
        rate = f"{float(f'{case.side**2 / np.median(times):.3g}'):,g}"
        table.row(name, rate, f"{np.median(ratios):.2f}", f"{ratios.min():.2f}, {ratios.max():.2f}")
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
    count = len(ground.problem.train.labels)
    print(
        f"\n{case.title}, {torch.cuda.get_device_name()}: {case.side} x {case.side} points, {count:,} images"
    )
    for precision in ("fp32", "bf16"):
        _fedscape_loss(ground, ground.start, precision)  # the first point chooses kernels and allocates
        began = time.perf_counter()
        fedscape(ground, precision)
        print(f"{precision}: {time.perf_counter() - began:.1f} s")


def _fedscape_loss(
    ground: Ground, point: Tensor, precision: Precision = "fp32", step: Step = evaluation_step
) -> float:
    problem = ground.problem
    return evaluate(problem.module, *problem.tensors(point, {}, "keep"), problem.train, precision, step).loss


def main() -> None:
    parser = Options(__doc__, side=5, images=64, repetitions=1)
    parser.add_argument("--cifar", type=Path, help="folder of the prepared CIFAR-10 arrays")
    parser.add_argument("--side", type=int, default=DIGITS_SIDE, help="points per side on digits")
    parser.add_argument("--images", type=int, help="of the digits that are used; by default all")
    parser.add_argument("--ways", nargs="+", default=[""], metavar="WORD", help="of ways beside fedscape")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.read()
    place = Place.here(asked.threads)
    print(place)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)

        def case(title: str, dataset: Path, images: int | None, side: int, device: str = "cpu") -> Case:
            partition = divide(dataset, folder / f"{title}-{images or 'all'}", CLIENTS, images)
            return Case(title, dataset, partition, side, asked.threads, device)

        compare(case("digits", digits(folder), asked.images, asked.side), asked, place)
        if asked.cifar is None or not asked.cifar.is_dir():
            print("\nCIFAR-10 left out: --cifar takes the folder of its prepared arrays")
            return
        compare(case("CIFAR-10", asked.cifar, CIFAR_IMAGES, CIFAR_SIDE), asked, place)
        if torch.cuda.is_available():
            on_cuda(case("CIFAR-10", asked.cifar, None, CUDA_SIDE, "cuda"))


if __name__ == "__main__":
    main()
