"""A federated run of seconds for the engine's tests.

As a script, `python small_run.py FOLDER SEED [JSON]` runs on what `prepare(FOLDER)` has made, in processes that
are killed at random writes, until one of them comes to the end; it prints how many were killed. JSON: arguments
of `run_once`.
"""

import json
import os
import random
import signal
import sys
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from fedscape.checkpoints.run_files import RunOutputs
from fedscape.checkpoints.state_dicts import write_weights
from fedscape.checkpoints.writer import RowWriter
from fedscape.data.storage import Inputs, Raw, write_dataset
from fedscape.federated.client_store import ClientStore
from fedscape.federated.records import GrowingTable
from fedscape.federated.train import FederatedMethod, RunInputs, train_run
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.settings.plain import from_plain
from fedscape.settings.runs import KeptModels, RunSeeds
from fedscape.settings.training import TrainingSettings

SHAPE = (1, 8, 8)
CLASSES = ("a", "b", "c")
TRAIN, VALIDATION, TEST = 50, 6, 10
CLIENT_SIZES = (17, 9, 12, 6)  # unequal, and no multiples of the batch size; six train images are nobody's
MODEL = "resnet20"  # has batch norm, so float buffers and counters are in play
EVENTS_BEFORE_KILL = (5, 45)  # a round has 14 to 17 events, the finish about 25
MOST_PROCESSES = 50
TRAINING = TrainingSettings(
    rounds=4, local_epochs=2, batch_size=8, lr=0.05, momentum=0.9, weight_decay=1e-3, participation=0.75
)
IDENTITY = {
    "study": "test",
    "scale": "smoke",
    "dataset": "noise",
    "model": MODEL,
    "partition": "uneven",
    "init": "random",
    "method": "fedavg",
    "seed": 0,
}
OUTPUTS = {
    "trajectory": "trajectory.safetensors",
    "clients": "clients.safetensors",
    "rounds": "rounds.csv",
    "final": "final.safetensors",
    "timing": "timing.csv",
    "run": "run.json",
}
SMALL = {"model": "resnet", "model_settings": {"blocks": [1, 1, 1], "width": 8}}
KINDS = {
    # All that a run may have to remember: of the server, the rule, each client, masks, optimisers and schedule.
    "remembering": {
        **SMALL,
        "algorithm": "scaffold",
        "server": "momentum",
        "lr": 0.01,
        "optimiser_state": "keep",
        "pruning": {"begin": 1, "end": 4, "frequency": 1, "unit": "round"},
        "schedule": {"kind": "cosine"},
    },
    "own models": {
        **SMALL,
        "average_every": 3,
        "participation": 1.0,
        "optimiser": "adamw",
        "momentum": 0.0,
        "lr": 1e-3,
    },
}
"""Runs, as arguments of `run_once`; `prepare` needs those of `SMALL` too."""
REPEATABLE = ("trajectory", "clients", "rounds", "final")  # the outputs without a clock


def write_noise(folder: Path, seed: int = 0, classes: tuple[str, ...] = CLASSES, shape=SHAPE) -> None:
    """A prepared data set of random images whose brightness tells the class."""
    generator = np.random.default_rng(seed)

    def draw(count: int) -> tuple[Inputs, np.ndarray]:
        labels = generator.integers(0, len(classes), count)
        noise = generator.integers(0, 100, (count, *shape))
        return Inputs.of((noise + 50 * labels[:, None, None, None]).astype(np.uint8)), labels

    train_images, train_labels = draw(TRAIN + VALIDATION)
    test_images, test_labels = draw(TEST)
    write_dataset(
        folder, "noise", "noise", Raw(classes, train_images, train_labels, test_images, test_labels)
    )


def write_partition(path: Path, sizes: tuple[int, ...] = CLIENT_SIZES) -> None:
    """A partition with clients of these sizes."""
    order = np.random.default_rng(1).permutation(TRAIN + VALIDATION)
    train, validation = np.sort(order[:TRAIN]), np.sort(order[TRAIN:])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    owned = np.random.default_rng(2).permutation(train)
    indices = np.concatenate([np.sort(owned[a:b]) for a, b in pairwise(offsets)])
    np.savez(path, train=train, validation=validation, test=np.arange(TEST), indices=indices, offsets=offsets)


def prepare(
    folder: Path,
    model: str = MODEL,
    sizes: tuple[int, ...] = CLIENT_SIZES,
    model_settings: dict | None = None,
) -> None:
    """Inputs of a run: data set, partition, random start."""
    write_noise(folder / "data")
    write_partition(folder / "partition.npz", sizes)
    module = random_model(model, model_settings or {}, SHAPE, len(CLASSES), seed=0)
    write_weights(folder / "initial.safetensors", module.state_dict())


def run_once(
    folder: Path,
    model: str = MODEL,
    out: str = "out",
    keep_rounds="all",
    device: str = "cpu",
    client_paths: bool = True,
    model_settings: dict | None = None,
    algorithm: str = "fedavg",
    algorithm_settings: dict | None = None,
    server: str = "average",
    server_settings: dict | None = None,
    **changes,
) -> dict[str, Path]:
    """Train on what `prepare` has made; `changes` are training settings, parts of them as mappings.

    Returns the outputs' paths.
    """
    outputs = {name: folder / out / file for name, file in OUTPUTS.items()}
    train_run(
        identity=IDENTITY,
        inputs=RunInputs(folder / "data", folder / "partition.npz", folder / "initial.safetensors"),
        model=Plugin(model, model_settings or {}),
        method=FederatedMethod(
            algorithm=Plugin(algorithm, algorithm_settings or {}),
            server=Plugin(server, server_settings or {}),
            training=from_plain(TrainingSettings, {**asdict(TRAINING), **changes}),
        ),
        seeds=RunSeeds(seed=0, order_seed=5),
        kept=KeptModels(keep_rounds, client_rounds=[1, 3], client_paths=client_paths),
        outputs=RunOutputs(**outputs),
        resume=Resume(folder / out / "resume", "test"),
        device=device,
    )
    return outputs


def contents(outputs: dict[str, Path]) -> dict[str, bytes]:
    """What must be the same whenever and wherever the run is made."""
    return {name: outputs[name].read_bytes() for name in REPEATABLE}


def stop_after_two_rounds(folder: Path, monkeypatch, **arguments) -> Path:
    """Leave a resume folder with two rounds in it."""
    with monkeypatch.context() as patch:
        patch.setattr(
            ResumeFolder, "stop_requested", lambda self: "a test" if self.progress["round"] == 2 else None
        )
        with pytest.raises(SystemExit):
            run_once(folder, **arguments)
    return folder / "out" / "resume"


def kill_before(event: int) -> None:
    """From now on, kill this process (SIGKILL) before the `event`-th write, flush, rename or link."""
    seen = 0

    def counted(function):
        def wrapper(*arguments, **keywords):
            nonlocal seen
            seen += 1
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **keywords)

        return wrapper

    RowWriter.write, ClientStore.write = counted(RowWriter.write), counted(ClientStore.write)
    GrowingTable.add = counted(GrowingTable.add)
    Path.rename, Path.replace = counted(Path.rename), counted(Path.replace)
    os.fsync, os.replace, os.link = counted(os.fsync), counted(os.replace), counted(os.link)


def run_with_kills(folder: Path, seed: int, **arguments) -> int:
    """Processes that were killed before one came to the end; `arguments` are those of `run_once`."""
    draw = random.Random(seed)
    for killed in range(MOST_PROCESSES):
        event = draw.randrange(*EVENTS_BEFORE_KILL)
        process = os.fork()
        if process == 0:
            torch.set_num_threads(1)
            kill_before(event)
            run_once(folder, **arguments)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if status == 0:
            return killed
        for file in OUTPUTS.values():  # Snakemake deletes the outputs of a failed job
            (folder / "out" / file).unlink(missing_ok=True)
    raise AssertionError("no process came to the end")


if __name__ == "__main__":
    import torch._dynamo  # torch.func does at its first use; so here once, not in every process

    print(run_with_kills(Path(sys.argv[1]), int(sys.argv[2]), **json.loads(*sys.argv[3:] or ["{}"])))
