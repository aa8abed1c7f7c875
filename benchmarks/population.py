"""Memory and disk of a run with 10,000 clients, 20 of them per round (Linux).

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/population.py ALGORITHM

The clients' data are the bundled digits over and over, 8 per client, each repetition shifted in brightness by
a few levels: 80,000 images 1 x 8 x 8, 5 MB. What is watched is what grows with the number of clients: the
vectors that an algorithm keeps of each client that has taken part, on disk.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from measured import Options, Place, Table
from runs import Algorithm, digits, fedscape, make_work

import fedscape.federated.train as train
from fedscape.data.storage import Inputs, Raw, open_dataset, write_dataset

PER_CLIENT, SAMPLED = 8, 20
PRINTED_EVERY = 5  # rounds
MEGABYTE = 2**20
BLOCK = 512  # bytes in which the file system counts
BRIGHTEST = 8  # levels that are added to a repetition, at most


def repeated_digits(clients: int, folder: Path) -> Path:
    """A prepared data set of as many samples as all clients have."""
    data = open_dataset(digits(folder))
    chosen = np.arange(clients * PER_CLIENT) % len(data.train_labels)
    added = np.random.default_rng(0).integers(0, BRIGHTEST, (len(chosen), 1, 1, 1))
    images = np.minimum(data.train_inputs[chosen] + added, 255).astype(np.uint8)
    labels = data.train_labels[chosen]
    raw = Raw(data.classes, Inputs.of(images), labels, Inputs.of(images[:10]), labels[:10])
    write_dataset(folder / "population", "population", "population", raw)
    return folder / "population"


def memory() -> dict[str, float]:
    """Resident memory of this process in MB: of its own, and pages of files that the system may drop."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    return {name: int(sizes[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")}


def disk(folder: Path) -> tuple[float, float]:
    """MB that a folder takes on disk, and the sum of its files' lengths: more where files have holes."""
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return (
        sum(file.st_blocks for file in files) * BLOCK / MEGABYTE,
        sum(file.st_size for file in files) / MEGABYTE,
    )


def watch(asked: argparse.Namespace, folder: Path, place: Place) -> None:
    """Train and print a row for some of the rounds."""
    dataset = repeated_digits(asked.clients, folder)
    plan = {"rounds": asked.rounds, "epochs": 1, "batch_size": PER_CLIENT, "lr": 0.01, "momentum": 0.0}
    work = make_work("population", dataset, folder, asked.clients, **plan)
    out = folder / "run"

    class WatchedStore(train.RunStore):
        """Prints what a round has left in memory and on disk."""

        def commit(self, number, *arguments, **keywords):
            super().commit(number, *arguments, **keywords)
            if number == 1 or number % PRINTED_EVERY == 0:
                numbers = [*memory().values(), *disk(out)]
                table.row(number, *(f"{value:,.0f}" for value in numbers))

    train.RunStore = WatchedStore
    print(f"\n{asked.algorithm}, ConvNet, {asked.clients:,} clients of {PER_CLIENT} digits, ", end="")
    print(f"{SAMPLED} per round, MB\n")
    columns = "memory of its own", "pages of files (libraries)", "disk", "length of files"
    table = Table(place, "after round", *columns)
    share = SAMPLED / asked.clients
    fedscape(work, Algorithm(asked.algorithm), device=asked.device, folder=out, participation=share)


def main() -> None:
    parser = Options(__doc__, clients=40, rounds=2)
    parser.add_argument("algorithm", nargs="?", default="scaffold")
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    asked = parser.read()
    torch.set_num_threads(asked.threads)
    place = Place.here(asked.threads, asked.device)
    print(place)
    with tempfile.TemporaryDirectory() as folder:
        watch(asked, Path(folder), place)


if __name__ == "__main__":
    main()
