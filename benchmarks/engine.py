"""How fast fedscape trains, beside loops written by hand and Flower's simulation.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/engine.py --cifar FOLDER

prints samples per second of FedAvg on the same work: same clients, samples, steps, batch size, model and
momentum. Everybody works in a process of its own and takes turns. Before that, the hand-written loop gets
fedscape's sample orders and must end at fedscape's loss; afterwards all final losses are compared.

    (a) fedscape, `lanes: auto` and as `--lanes` says, by the same call as the workflow
    (b) a loop over clients without DataLoader      (c) the same with DataLoader (both: `plain.py`)
    (d) Flower's simulation with (c) as its client (`flower_simulation.py`)

FOLDER holds `cifar-10-batches-py` as torchvision unpacks it; without it CIFAR-10 is left out.

Flower pins packages of its own, so it has an environment of its own, with PyTorch, and runs as a subprocess
that is handed the task in a file; of fedscape it imports the network alone (torch and NumPy). `--flower` adds
Flower to the table and then prints the time of 20 rounds, from the start of the process to its end:

    python3 -m venv /tmp/flower && /tmp/flower/bin/pip install -r benchmarks/requirements-engine.txt
    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/engine.py --flower /tmp/flower/bin/python
"""

import argparse
import os
import subprocess
import tempfile
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from measured import ROOT, Options, Place, Table
from plain import final_loss, loader_loop, open_task, tensor_loop
from runs import Outcome, Work, by_hand, cifar10, digits, fedscape, make_work
from turns import Way, in_turns

from fedscape.jobs.streams import stream

CLIENTS, BATCH, LR, MOMENTUM = 10, 16, 0.03, 0.9
CIFAR_IMAGES = 2_000  # on a CPU; seconds per sample do not depend on their number
FLOWER_ROUNDS = 20
CHECKED_ROUNDS = 2  # few, since rounding differences grow with the steps
SAME = 0.02  # difference of losses from the same sample orders, relative to what was gained, at most
ALIKE = 0.25  # difference from other orders in nats, at most; the first loss is 2.3
FREED = ", freed memory kept"  # as fedscape's jobs do
HAND = "(b) loop without DataLoader"
OWN = "(a) fedscape"


def flower(work: Work, python: Path, workers: int) -> Outcome:
    """Flower's simulation in a process of its own; its last second is the whole process's."""
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "flower.pt")
        command = [python, ROOT / "benchmarks" / "flower_simulation.py", work.task, out, str(workers)]
        began = time.perf_counter()
        done = subprocess.run(
            command,
            env={**os.environ, **quiet, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
        )
        whole = time.perf_counter() - began
        if done.returncode or not out.exists():
            raise SystemExit(f"Flower failed:\n{done.stderr[-3000:]}")
        result = torch.load(out, weights_only=True)
    return Outcome([*result["seconds"], whole], final_loss(open_task(work.task), result["state"]))


def flower_rounds(work: Work, python: Path, workers: int) -> Outcome:
    """Flower's rounds but the first, which waits for its workers to start."""
    outcome = flower(work, python, workers)
    return Outcome(outcome.seconds[1:-1], outcome.loss)


def same_orders(work: Work) -> None:
    """Stop if the hand-written loop with fedscape's sample orders does not do what fedscape does."""
    task = open_task(work.task)
    start, expected = final_loss(task, task.initial), fedscape(work).loss
    found = final_loss(task, tensor_loop(task, lambda number, client: stream(0, "order", number, client)))
    if not abs(found - expected) <= SAME * abs(expected - start):
        raise SystemExit(f"{work.title}: final loss {found:.5f} by hand, {expected:.5f} by fedscape")


def compare(work: Work, asked: argparse.Namespace, place: Place) -> None:
    """Print the table of one data set."""
    ways = {f"{OWN}, lanes {lanes}": Way(partial(fedscape, work, lanes=lanes, device=asked.device), True)
            for lanes in ("auto", *asked.lanes)}  # fmt: skip
    by_tensors, by_loader = (
        partial(by_hand, loop, work, asked.device) for loop in (tensor_loop, loader_loop)
    )
    ways |= {
        HAND: Way(by_tensors),
        HAND + FREED: Way(by_tensors, True),
        "(c) loop with DataLoader": Way(by_loader),
        "(c) loop with DataLoader" + FREED: Way(by_loader, True),
    }
    if asked.flower and asked.device == "cpu":
        ways |= {
            f"(d) Flower, {workers} worker(s)": Way(partial(flower_rounds, work, asked.flower, workers))
            for workers in asked.workers
        }
    turns = in_turns(ways, asked.repetitions, asked.threads, together=asked.smallest)
    outcomes: dict[str, list[Outcome]] = {name: every[1:] for name, every in turns.items()}
    task = open_task(work.task)
    trained = {name: task.trained * len(one[0].seconds) / task.rounds for name, one in outcomes.items()}
    trained |= {name: task.trained for name in ways if name.startswith(("(b)", "(c)"))}
    rates = {name: np.array([trained[name] / sum(o.seconds) for o in one]) for name, one in outcomes.items()}
    print(
        f"\n{work.title}: ConvNet, {CLIENTS} clients, {sum(map(len, task.clients)):,} images, batch {BATCH}, "
        f"{task.rounds} rounds x {task.epochs} epochs, {asked.device}, medians of {asked.repetitions}\n"
    )
    table = Table(place, "", "samples per second", "over (b)", "smallest, largest", "final loss")
    for name, rate in rates.items():
        ratios = rate / rates[HAND]
        loss = np.median([one.loss for one in outcomes[name]])
        table.row(name, f"{np.median(rate):,.0f}", f"{np.median(ratios):.2f}",
                  f"{ratios.min():.2f}, {ratios.max():.2f}", f"{loss:.4f}")  # fmt: skip
    expected = np.median([one.loss for one in outcomes[HAND]])
    for name, one in outcomes.items():
        if not abs(np.median([o.loss for o in one]) - expected) <= ALIKE:
            raise SystemExit(f"{name}: its final loss is not that of the same work")


def _save_seconds(call: partial, path: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    np.save(path, call().seconds)


def whole_process(work: Work, folder: Path, threads: int) -> Outcome:
    """fedscape in a new process, imports included; the last second is the whole process's."""
    path = folder / "seconds.npy"
    arguments = partial(fedscape, work), path, threads
    process = get_context("spawn").Process(target=_save_seconds, args=arguments)
    began = time.perf_counter()
    process.start()
    process.join()
    whole = time.perf_counter() - began
    return Outcome([*np.load(path), whole], 0.0)


def beside_flower(work: Work, folder: Path, asked: argparse.Namespace, place: Place) -> None:
    """Print the time of 20 rounds."""
    ways = {OWN: partial(whole_process, work, folder, asked.threads)}
    ways |= {
        f"(d) Flower, {workers} worker(s)": partial(flower, work, asked.flower, workers)
        for workers in asked.workers
    }
    seconds: dict[str, list[list[float]]] = {name: [] for name in ways}
    for _ in range(asked.repetitions):
        for name, call in ways.items():
            seconds[name].append(call().seconds)
    print(
        f"\n{open_task(work.task).rounds} rounds of {CLIENTS} clients and one local epoch on digits, "
        f"{asked.threads} thread(s) each, seconds, medians of {asked.repetitions}\n"
    )
    columns = "process, start to end", "its rounds", "without the first", "whole process over fedscape's"
    table = Table(place, "", *columns)
    for name, times in seconds.items():
        times = np.array(times)
        parts = times[:, -1], times[:, :-1].sum(axis=1), times[:, 1:-1].sum(axis=1)
        ratio = np.median(times[:, -1] / np.array(seconds[OWN])[:, -1])
        table.row(name, *(f"{np.median(part):.2f}" for part in parts), f"{ratio:.1f}")


def main() -> None:
    parser = Options(__doc__, rounds=2, lanes=[], workers=[1], repetitions=1, digits=64, epochs=1)
    parser.add_argument("--cifar", type=Path, help="folder with cifar-10-batches-py")
    parser.add_argument("--images", type=int, default=CIFAR_IMAGES, help="of CIFAR-10 that are used")
    parser.add_argument("--digits", type=int, help="of the digits that are used; by default all")
    parser.add_argument("--epochs", type=int, default=5, help="on digits, in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lanes", type=int, nargs="*", default=[1, 10])
    parser.add_argument("--flower", type=Path, help="the Python of Flower's environment")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, os.cpu_count()], help="of Flower")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    asked = parser.read()
    torch.set_num_threads(asked.threads)
    place = Place.here(asked.threads, asked.device)
    print(place)
    plan = {"batch_size": BATCH, "lr": LR, "momentum": MOMENTUM}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bundled = digits(folder)
        cases = [("digits", bundled, asked.digits, asked.epochs)]
        if asked.cifar:
            cases.append(("CIFAR-10", cifar10(asked.cifar, folder), asked.images, 1))
        else:
            print("\nCIFAR-10 left out: --cifar takes the folder with cifar-10-batches-py")
        if not asked.flower:
            print("\n(d) left out: --flower takes the Python of Flower's environment")
        for title, dataset, images, epochs in cases:
            for_rounds = partial(make_work, title, dataset, folder, CLIENTS, images, epochs=epochs, **plan)
            if asked.device == "cpu":
                same_orders(for_rounds(rounds=CHECKED_ROUNDS))
                open_task.cache_clear()
            compare(for_rounds(rounds=asked.rounds), asked, place)
        if asked.flower:
            rounds = asked.rounds if asked.smallest else FLOWER_ROUNDS
            work = make_work("flower", bundled, folder, CLIENTS, rounds=rounds, epochs=1, **plan)
            beside_flower(work, folder, asked, place)


if __name__ == "__main__":
    main()
