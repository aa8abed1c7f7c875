"""What each client rule costs beside FedAvg: seconds per round and memory, table 5 of the FedAlign paper.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/methods.py
    .venv/bin/python benchmarks/methods.py --model resnet56 --device cuda --precision tf32 --cifar FOLDER \
        --images 50000 --clients 16 --epochs 20 --rounds 1 --peak 494

All train the same clients and samples by the same call as the workflow, each in a process of its own, a run
in turns; the first one does not count. What is timed are the rounds, without evaluation. Ratios are taken
within a turn; memory is PyTorch's peak on a GPU, else how much the process grew over what it was before its
first run. MOON has its projection head, the others have none, as in the paper.

Images are noise 3 x 32 x 32 unless `--cifar` names a folder with cifar-10-batches-py. `--peak` is what the
device can do in TFLOP/s; then the roofline of a FedAvg round is printed too: the time that its convolutions
and products would take at that speed.
"""

import argparse
import tempfile
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from measured import Options, Place, Table
from runs import Algorithm, Outcome, cifar10, fedscape, make_work, noise, step_flops
from turns import Way, in_turns

from fedscape.settings.training import SharpnessAware

SHAPE = (3, 32, 32)
REFERENCE = "FedAvg"
MODELS = {
    "narrow": {"block": "bottleneck", "blocks": [2, 2, 2], "width": 8},
    "resnet56": {"block": "bottleneck", "blocks": [6, 6, 6]},  # as the FedAlign paper's code has it
}
RECIPE = {"nesterov": True, "weight_decay": 1e-4, "drop_last": True}  # of the FedAlign paper's code


@dataclass(frozen=True)
class Method:
    """A row: what is trained, and the ratio to FedAvg that we aim at (0: none)."""

    algorithm: Algorithm
    target: float = 0.0
    model_settings: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)  # where the rule cannot have the recipe


# SCAFFOLD, FedNova and MimeLite know no Nesterov momentum; without it a step costs the same.
PLAIN = {"momentum": 0.0, "nesterov": False}
HEAD = {"projection": 256}
METHODS = {
    REFERENCE: Method(Algorithm("fedavg")),
    "FedProx": Method(Algorithm("fedprox"), 1.10),
    "MOON": Method(Algorithm("moon"), 2.0, HEAD),
    "MOON, references: train": Method(Algorithm("moon", {"references": "train"}), 2.0, HEAD),
    "Mixup": Method(Algorithm("mixup"), 1.05),
    "StochDepth": Method(Algorithm("stochdepth"), 1.05),
    "FedAlign": Method(Algorithm("fedalign", {"preset": "paper"}), 1.20),
    "FedAlign, preset: code": Method(Algorithm("fedalign", {"preset": "code"}), 1.20),
    **{f"GradAug({n})": Method(Algorithm("gradaug", {"subnets": n}), 1 + 0.6 * n) for n in (1, 2, 3, 4)},
    "SCAFFOLD": Method(Algorithm("scaffold"), training=PLAIN),
    "FedDyn": Method(Algorithm("feddyn")),
    "FedNova": Method(Algorithm("fednova"), training=PLAIN),
    "MimeLite": Method(Algorithm("mimelite"), training=PLAIN),
    "FedBN": Method(Algorithm("fedbn")),
    "FedSAM": Method(Algorithm("fedavg"), training={"sam": SharpnessAware(rho=0.05)}),
    "FedASAM": Method(Algorithm("fedavg"), training={"sam": SharpnessAware(rho=0.5, adaptive=True)}),
    "FedCM": Method(Algorithm("fedcm"), training=PLAIN),
    "FedSMOO": Method(Algorithm("fedsmoo")),
    "FedLESAM": Method(Algorithm("fedlesam")),
    "FedGloSS": Method(Algorithm("fedgloss")),
    "FedDecorr": Method(Algorithm("feddecorr")),
}


def measured(asked: argparse.Namespace, folder: Path) -> dict[str, list[Outcome]]:
    """Outcomes of every method that exists, the first of the turn that warms up."""
    dataset = cifar10(asked.cifar, folder) if asked.cifar else noise(SHAPE, asked.images, folder)
    plan = {
        "rounds": asked.rounds,
        "epochs": asked.epochs,
        "batch_size": asked.batch,
        "lr": 0.01,
        "momentum": 0.9,
    }
    ways = {}
    for name, method in METHODS.items():
        if name != REFERENCE and asked.methods and name not in asked.methods:
            continue
        if not find_spec(f"fedscape.federated.algorithms.{method.algorithm.kind}"):
            print(f"{name} left out: there is no algorithm {method.algorithm.kind}")
            continue
        training = RECIPE | {"lanes": asked.lanes, "precision": asked.precision} | method.training
        momentum = training.pop("momentum", plan["momentum"])
        settings = MODELS[asked.model] | method.model_settings
        work = make_work(name, dataset, folder, asked.clients, asked.images, "resnet", settings,
                         **plan | {"momentum": momentum})  # fmt: skip
        ways[name] = Way(partial(fedscape, work, method.algorithm, device=asked.device, **training), True)
    return in_turns(ways, asked.repetitions, asked.threads, together=asked.smallest)


def show(outcomes: dict[str, list[Outcome]], asked: argparse.Namespace, place: Place) -> None:
    """Print the table."""
    each = asked.images // asked.clients // asked.batch * asked.batch  # samples of a client that take part
    print(
        f"\n{asked.model} at 32 x 32, batch {asked.batch}, {asked.clients} clients x {each:,} images x "
        f"{asked.epochs} epochs, {asked.precision}, lanes {asked.lanes}, "
        f"medians of {asked.repetitions}\n"
    )
    columns = "seconds per round", "FedAvg beside it", "ratio", "smallest, largest", "aim", "memory, MB"
    table = Table(place, "", *columns)
    seconds = {
        name: np.array([np.mean(one.seconds) for one in every[1:]]) for name, every in outcomes.items()
    }
    for name, every in outcomes.items():
        ratios, target = seconds[name] / seconds[REFERENCE], METHODS[name].target
        memory = max(one.peak for one in every[1:]) - every[0].before
        table.row(name, f"{np.median(seconds[name]):.2f}", f"{np.median(seconds[REFERENCE]):.2f}",
                  f"{np.median(ratios):.2f}", f"{ratios.min():.2f}, {ratios.max():.2f}",
                  f"{target:.2f}" if target else "", f"{memory:,.0f}")  # fmt: skip
    steps = asked.clients * asked.epochs * each // asked.batch
    work = steps * step_flops("resnet", MODELS[asked.model], SHAPE, asked.batch) / 1e12
    speed = work / np.median(seconds[REFERENCE])
    print(f"\nA FedAvg round is {work:.3g} TFLOP: {speed:.3g} TFLOP/s", end="")
    if asked.peak:
        print(f", {speed / asked.peak:.1%} of {asked.peak:g}; roofline {work / asked.peak:.3g} s", end="")
    print()


def main() -> None:
    parser = Options(__doc__, images=32, clients=2, batch=16, rounds=1, repetitions=1)
    parser.add_argument("--model", choices=MODELS, default="narrow")
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD", help="by default all")
    parser.add_argument("--cifar", type=Path, help="folder with cifar-10-batches-py")
    parser.add_argument("--images", type=int, default=1_024)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--lanes", type=lambda text: text if text == "auto" else int(text), default="auto")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--peak", type=float, default=0.0, help="TFLOP/s of the device")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    asked = parser.read()
    torch.set_num_threads(asked.threads)
    place = Place.here(asked.threads, asked.device)
    print(place)
    with tempfile.TemporaryDirectory() as temporary:
        show(measured(asked, Path(temporary)), asked, place)


if __name__ == "__main__":
    main()
