"""The problems that all frameworks solve: one start, one batch order for each client and round.

    python examples/frameworks/problem.py FOLDER

writes FOLDER/even and FOLDER/uneven, a folder for each partition of the study `frameworks`, whose own runs
draw the same data, start and orders. README.md describes the files.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from net import Net
from safetensors.torch import save_file

from fedscape.data.partition import make_partition
from fedscape.data.prepare import prepare_dataset
from fedscape.federated.batches import client_task
from fedscape.federated.run_samples import RunSamples
from fedscape.jobs.streams import stream
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples
from fedscape.settings.training import TrainingSettings

SEED = 0
CLIENTS = 10
IMAGES = 800  # of the 899; ten clients of 80 hold four batches of 20
PARTITIONS = {
    "even": Plugin("shards", {"shards_per_client": 2}),
    "uneven": Plugin("dirichlet-per-class", {"alpha": 0.5}),
}
TRAINING = TrainingSettings(rounds=20, local_epochs=5, batch_size=20, lr=0.1)
METHODS = {
    "fedavg": {},
    "scaffold": {"server_lr": 1.0},
    "feddyn": {"alpha": 0.1},
    "fednova": {},
    "fedavgm": {"server_lr": 1.0, "momentum": 0.5},
    "fedadam": {"server_lr": 0.01, "beta1": 0.9, "beta2": 0.99, "tau": 0.001},
}


def start() -> dict[str, torch.Tensor]:
    """The state_dict of round 0, as a start of kind `random` draws it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(SEED, "start").integers(2**63)))
        return Net().state_dict()


def batches(clients: list[np.ndarray]) -> np.ndarray:
    """Positions of the samples of each step, int64 [rounds, clients, steps, batch], -1 where there is none.

    clients: positions of each client's samples. The short last batch of an epoch is a step as well.
    """
    size = TRAINING.batch_size
    steps = TRAINING.local_epochs * max(-(-len(samples) // size) for samples in clients)
    table = np.full((TRAINING.rounds, len(clients), steps, size), -1, dtype=np.int64)
    for round_number in range(1, TRAINING.rounds + 1):
        for client, positions in enumerate(clients):
            order = client_task(TRAINING, "fedavg", positions, SEED, SEED, round_number, client).order
            step = 0
            for _ in range(TRAINING.local_epochs):
                samples = positions[order.permutation(len(positions))]
                for first in range(0, len(samples), size):
                    batch = samples[first : first + size]
                    table[round_number - 1, client, step, : len(batch)] = batch
                    step += 1
    return table


def write_problem(partition: str, folder: Path) -> None:
    """Write problem.npz, start.safetensors and settings.json."""
    with TemporaryDirectory() as temporary:
        data, npz = Path(temporary) / "digits", Path(temporary) / "partition.npz"
        prepare_dataset("digits", Plugin("digits", {}), temporary, data)
        make_partition(
            dataset=data,
            scheme=PARTITIONS[partition],
            clients=CLIENTS,
            partition_seed=SEED,
            samples=UsedSamples(images=IMAGES, seed=SEED),
            identity={"dataset": "digits", "partition": partition, "seed": SEED},
            npz=npz,
            csv=Path(temporary) / "partition.csv",
        )
        samples = RunSamples.open(data, npz, torch.device("cpu"))
    train, test = samples.splits["train"], samples.splits["test"]
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "problem.npz",
        inputs=train.taken(slice(None)).numpy(),
        labels=train.labels.numpy(),
        test_inputs=test.taken(slice(None)).numpy(),
        test_labels=test.labels.numpy(),
        batches=batches(list(samples.clients)),
        sizes=np.array([len(client) for client in samples.clients]),
    )
    save_file(start(), folder / "start.safetensors")
    settings = {
        "rounds": TRAINING.rounds,
        "clients": CLIENTS,
        "lr": TRAINING.lr,
        "local_epochs": TRAINING.local_epochs,
        "batch_size": TRAINING.batch_size,
        "methods": METHODS,
    }
    (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in PARTITIONS:
        write_problem(name, Path(sys.argv[1]) / name)
