"""FedAvg against SCAFFOLD on CIFAR-10 with the 62,006-parameter CNN: does the published order hold?

The setting is that of NIID-Bench and its Flower baseline: 10 clients, Dirichlet(0.5) per class, 10 local
epochs, batch 64, SGD with rate 0.01, momentum 0.9 and weight decay 1e-5. They report best test accuracies
after 50 rounds of 62.5 +- 0.4 (FedAvg) and 68.1 +- 1.0 (SCAFFOLD) in one code, 68.2 and 69.8 in the other.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/scaffold.py FOLDER --cifar ROOT [--rounds 50] [--seed 0]

ROOT holds `cifar-10-batches-py`; without it images are noise. The two runs are processes side by side, a
thread each; killed and called again, they resume. An hour each on a 2-core machine.
"""

import argparse
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from measured import Options, Place, Table
from runs import Algorithm, Work, cifar10, fedscape, make_work, noise

ALGORITHMS = {"fedavg": "size", "scaffold": "uniform"}  # with the aggregation weights of their papers
CLIENTS, ALPHA = 10, 0.5
SHAPE, IMAGES = (3, 32, 32), 500  # of the noise


def prepare(asked: argparse.Namespace, folder: Path) -> Work:
    """Data set, partition and start, which both runs share."""
    dataset = cifar10(asked.cifar, folder) if asked.cifar else noise(SHAPE, IMAGES, folder)
    plan = {"rounds": asked.rounds, "epochs": asked.epochs, "batch_size": 64, "lr": 0.01, "momentum": 0.9}
    return make_work(f"seed{asked.seed}", dataset, folder, CLIENTS, model="cnn", scheme="dirichlet-per-class",
                     settings={"alpha": ALPHA}, test_images=None, seed=asked.seed, **plan)  # fmt: skip


def train(work: Work, algorithm: str, out: Path) -> None:
    """One of the two runs, in a process of its own."""
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    fedscape(work, Algorithm(algorithm), device=device, folder=out, weight_decay=1e-5, evaluate_every=1,
             weights=ALGORITHMS[algorithm])  # fmt: skip


def report(outs: dict[str, Path], place: Place) -> None:
    """Print test accuracies, whether the runs have ended or are under way."""
    columns = "best test accuracy", "after round", "last", "after round", "training loss there"
    table = Table(place, "", *columns)
    for algorithm, out in outs.items():
        ended = out / "rounds.csv"
        rounds = pd.read_csv(ended if ended.exists() else out / "resume" / "rounds.csv")
        best, last = rounds.loc[rounds["test_accuracy"].idxmax()], rounds.iloc[-1]
        best_accuracy, accuracy = (f"{100 * row['test_accuracy']:.2f} %" for row in (best, last))
        table.row(
            algorithm, best_accuracy, best["round"], accuracy, last["round"], f"{last['train_loss']:.3f}"
        )


def main() -> None:
    parser = Options(__doc__, rounds=1, epochs=1)
    parser.add_argument("folder", type=Path, nargs="?", help="where everything goes; may hold earlier rounds")
    parser.add_argument("--cifar", type=Path, help="folder with cifar-10-batches-py")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="only print how far the runs are")
    asked = parser.read()
    if asked.folder is None and not asked.smallest:
        parser.error("a FOLDER is needed")
    place = Place.here()
    print(f"{place}\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        outs = {algorithm: folder / f"seed{asked.seed}" / algorithm for algorithm in ALGORITHMS}
        if not asked.report:
            work = prepare(asked, folder)
            runs = [get_context("spawn").Process(target=train, args=(work, *one)) for one in outs.items()]
            for run in runs:
                run.start()
            for run in runs:
                run.join()
            if any(run.exitcode for run in runs):
                sys.exit("a run has stopped; called again, it resumes")
        report(outs, place)


if __name__ == "__main__":
    main()
