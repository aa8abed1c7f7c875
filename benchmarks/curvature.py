"""The largest eigenvalue and the trace of a ResNet-20's Hessian: fedscape and PyHessian, error against cost.

Both look at the same weights (a short training on the same images, so that the curvature is not that of a
start), the same images in one fixed set, in eval mode, with the same number of threads; each in a process of
its own, one measurement in turns. PyHessian is used as its README says, with its own iteration limits and
tolerance; it is given all images as one batch, whose graph it keeps, which is the faster of its two ways, and
with --loader its other way too. It stops where its running mean stands still, which may be anywhere; with
--limit it is also run up to its limit. fedscape may keep graphs in as much memory (--memory). Errors are
relative, against the eigenvalue to eight digits and the exact trace in float64. A product is one Hessian
product over all images; the exact trace takes none, and its time is measured like all else.

    .venv/bin/pip install -r benchmarks/requirements-curvature.txt
    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/curvature.py --cifar results/data/cifar10
"""

import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from measured import Options, Place, Table
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy

from fedscape.curvature import EvaluationSet, HessianProduct, exact_diagonal, hutch_pp, state_of, xtrace
from fedscape.data.storage import open_dataset
from fedscape.evaluation import eigenvalues as hessian
from fedscape.evaluation.eigenvalues import top_eigenpairs
from fedscape.jobs.job import keep_freed_memory
from fedscape.jobs.streams import stream
from fedscape.models.build import random_model

try:
    import pyhessian
except ImportError:
    pyhessian = None

SHAPE, CLASSES = (3, 32, 32), 10
BATCH, LR = 32, 0.02  # of the training before
LIMIT, SETTLED = 100, 1e-3  # PyHessian's own: most products of a quantity, change at which it stops
TIGHT = 1e-8  # at which the reference's eigenvalue stops
PROBES = 30  # products of fedscape's estimates of the trace, a study's default
LOADER_BATCH = 128
REFERENCE, BASE = "fedscape, exact trace", "PyHessian, one batch"


@dataclass(frozen=True)
class Case:
    """What is measured: how many images of a prepared data set (None: of noise), with what."""

    folder: Path | None
    images: int
    threads: int
    device: str
    memory: int  # bytes for graphs that fedscape keeps
    weights: Path  # where the trained weights are kept, once they are there
    steps: int  # of the training


@dataclass(frozen=True)
class Ground:
    """The trained network and the images."""

    module: nn.Module
    data: EvaluationSet

    @property
    def here(self) -> tuple:
        """What the library takes."""
        return self.module, *state_of(self.module), self.data


@dataclass(frozen=True)
class Found:
    """What one way found, and at what cost."""

    eigenvalue: float
    trace: float
    products: int
    seconds: float
    megabytes: float  # the most memory that its process has had so far


def fedscape(
    ground: Ground, case: Case, seed: int, trace: Callable | None = None
) -> tuple[float, float, int]:
    """Lanczos for the eigenvalue; the trace exactly, or by an estimator."""
    product = HessianProduct(*ground.here, kept_bytes=case.memory)
    device = product.point.device
    eigenvalue = top_eigenpairs(product, product.size, 1, seed, device).values[0]
    if trace is not None:
        return eigenvalue, trace(product, product.size, PROBES, seed, device).value, product.count
    count = product.count
    del product  # its graphs
    return eigenvalue, float(exact_diagonal(*ground.here).sum()), count


def package(
    ground: Ground, case: Case, seed: int, loader: bool = False, settled: float = SETTLED
) -> tuple[float, float, int]:
    """PyHessian's power iteration and Hutchinson's estimate, with its own rules for when to stop."""
    torch.manual_seed(seed)
    inputs, labels = (torch.cat(parts) for parts in zip(*ground.data.batches(), strict=True))
    batches = list(zip(inputs.split(LOADER_BATCH), labels.split(LOADER_BATCH), strict=True))
    given = {"dataloader": batches} if loader else {"data": (inputs, labels)}
    count = 0

    def counted(function: Callable) -> Callable:
        def call(*arguments):
            nonlocal count
            count += 1
            return function(*arguments)

        return call

    theirs = sys.modules["pyhessian.hessian"]  # the package has a class of this name in its place
    single = theirs.hessian_vector_product
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning of the graph that it keeps on the gradients
        found = pyhessian.hessian(ground.module, nn.CrossEntropyLoss(), cuda=case.device == "cuda", **given)
    try:
        theirs.hessian_vector_product = counted(single)
        found.dataloader_hv_product = counted(found.dataloader_hv_product)
        (eigenvalue,), _ = found.eigenvalues(maxIter=LIMIT, tol=settled, top_n=1)
        trace = float(np.mean(found.trace(maxIter=LIMIT, tol=settled)))
    finally:
        theirs.hessian_vector_product = single
        ground.module.zero_grad(set_to_none=True)
    return eigenvalue, trace, count


WAYS: dict[str, Callable[[Ground, Case, int], tuple[float, float, int]]] = {
    REFERENCE: fedscape,
    "fedscape, Hutch++": partial(fedscape, trace=hutch_pp),
    "fedscape, XTrace": partial(fedscape, trace=xtrace),
    BASE: package,
    "PyHessian, loader": partial(package, loader=True),
    f"PyHessian, {LIMIT} products each": partial(package, settled=0.0),
}


@cache
def ground_of(case: Case) -> Ground:
    """The images on the device, and a ResNet-20 after some steps of SGD on them; the same in each process."""
    torch.set_num_threads(case.threads)
    draw = stream(0, "curvature")
    if case.folder is None:
        labels = torch.from_numpy(draw.integers(0, CLASSES, case.images))
        noise = torch.from_numpy(draw.integers(0, 180, (case.images, *SHAPE)))
        images = (noise + 8 * labels[:, None, None, None]).to(torch.uint8)  # brightness tells the class
        data = EvaluationSet(images, labels, torch.full((3,), 0.5), torch.full((3,), 0.25))
    else:
        dataset = open_dataset(case.folder)
        chosen = np.sort(draw.permutation(len(dataset.train_labels))[: case.images])
        data = EvaluationSet.from_dataset(dataset, "train", chosen, case.device)
    data = replace(
        data, **{name: getattr(data, name).to(case.device) for name in ("inputs", "labels", "mean", "std")}
    )
    module = random_model("resnet20", {}, SHAPE, CLASSES, 0).to(case.device)
    if case.weights.is_file():
        module.load_state_dict(load_file(case.weights, case.device))
    else:
        train(module, data, draw, case.steps)
        save_file(module.state_dict(), case.weights)
    return Ground(module.eval(), data)


def train(module: nn.Module, data: EvaluationSet, draw: np.random.Generator, steps: int) -> None:
    """Some steps of SGD, so that the network has learnt something."""
    optimiser = torch.optim.SGD(module.parameters(), LR, momentum=0.9)
    inputs = torch.cat([batch for batch, _ in data.batches()])
    for _ in range(steps):
        rows = torch.from_numpy(draw.integers(0, len(data.labels), BATCH)).to(inputs.device)
        optimiser.zero_grad()
        cross_entropy(module(inputs[rows]), data.labels[rows]).backward()
        optimiser.step()
    module.zero_grad(set_to_none=True)


def timed(name: str, case: Case, seed: int) -> Found:
    """One way, once; in a worker."""
    keep_freed_memory()
    ground = ground_of(case)
    began = time.perf_counter()
    eigenvalue, trace, products = WAYS[name](ground, case, seed)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Found(float(eigenvalue), trace, products, seconds, peak)


def reference(case: Case) -> tuple[float, float]:
    """The eigenvalue to eight digits and the trace in float64; in a worker."""
    ground = ground_of(case)
    hessian.GROWING_TOLERANCE = TIGHT
    product = HessianProduct(*ground.here, kept_bytes=case.memory)
    eigenvalue = top_eigenpairs(product, product.size, 1, 99, product.point.device).values[0]
    del product
    module, layout, vector, buffers, data = ground.here
    buffers = {name: one.double() if one.is_floating_point() else one for name, one in buffers.items()}
    return float(eigenvalue), float(exact_diagonal(module, layout, vector.double(), buffers, data).sum())


def compare(case: Case, names: list[str], repetitions: int, place: Place) -> None:
    """Print the table."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as worker:
        eigenvalue, trace = worker.submit(reference, case).result()
    found: dict[str, list[Found]] = {name: [] for name in names}
    for repetition in range(repetitions):
        first = repetition % len(names)
        for name in names[first:] + names[:first]:  # nobody always runs after the same other
            # A new process each time: what one has kept would slow down or starve the next.
            with ProcessPoolExecutor(1, mp_context=context) as worker:
                worker.submit(ground_of, case).result()
                found[name].append(worker.submit(timed, name, case, repetition).result())
    images = "noise" if case.folder is None else case.folder.name
    print(
        f"\nResNet-20, {case.images:,} images ({images}): largest eigenvalue {eigenvalue:.6g}, trace "
        f"{trace:.6g}; medians of {repetitions}, errors: root mean squares\n"
    )
    errors = "error of the eigenvalue", "of the trace"
    table = Table(place, "", *errors, "products", "seconds", "MiB", "products, seconds over fedscape")
    base = found[REFERENCE]
    for name, ones in found.items():
        errors = [
            np.sqrt(np.mean([(getattr(one, key) / exact - 1) ** 2 for one in ones]))
            for key, exact in (("eigenvalue", eigenvalue), ("trace", trace))
        ]
        products, seconds, peak = (
            np.median([getattr(one, key) for one in ones]) for key in ("products", "seconds", "megabytes")
        )
        ratios = [
            np.median([getattr(one, key) / getattr(ours, key) for one, ours in zip(ones, base, strict=True)])
            for key in ("products", "seconds")
        ]
        table.row(name, *(f"{error:.1e}" for error in errors), f"{products:.0f}", f"{seconds:.1f}",
                  f"{peak:,.0f}", f"{ratios[0]:.2f}, {ratios[1]:.2f}")  # fmt: skip


def main() -> None:
    parser = Options(__doc__, images=8, repetitions=1, steps=2, memory=1.0)
    parser.add_argument(
        "--cifar", type=Path, help="folder of the prepared CIFAR-10 arrays; without it, noise"
    )
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=150, help="of the training before")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", type=float, default=12, help="GiB for graphs that fedscape keeps")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--loader", action="store_true", help="PyHessian with its loader too")
    parser.add_argument("--limit", action="store_true", help="PyHessian up to its limit of products too")
    parser.add_argument("--estimates", action="store_true", help="fedscape's estimates of the trace too")
    asked = parser.read()
    names = [REFERENCE]
    names += [name for name in WAYS if "++" in name or "XTrace" in name] if asked.estimates else []
    names += [BASE] if pyhessian else []
    names += ["PyHessian, loader"] if pyhessian and asked.loader else []
    names += [f"PyHessian, {LIMIT} products each"] if pyhessian and asked.limit else []
    place = Place.here(asked.threads, asked.device)
    print(place)
    with tempfile.TemporaryDirectory() as folder:
        memory, weights = int(asked.memory * 2**30), Path(folder) / "weights.safetensors"
        case = Case(asked.cifar, asked.images, asked.threads, asked.device, memory, weights, asked.steps)
        compare(case, names, asked.repetitions, place)
    if not pyhessian:
        print("PyHessian left out, not installed: pip install -r benchmarks/requirements-curvature.txt")


if __name__ == "__main__":
    main()
