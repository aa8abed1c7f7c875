"""What the benchmarks of training share: work that all get alike, and a run of fedscape."""

import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from plain import Task, final_loss, open_task
from torch.utils.flop_counter import FlopCounterMode

from fedscape.checkpoints.run_files import RunOutputs
from fedscape.checkpoints.state_dicts import read_weights, write_weights
from fedscape.columns.identity import IDENTITY
from fedscape.data.partition import make_partition, open_partition
from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import Inputs, Raw, open_dataset, write_dataset
from fedscape.federated.records import MEGABYTE, RESIDENT_UNIT
from fedscape.federated.train import FederatedMethod, RunInputs, train_run
from fedscape.jobs.resume import Resume
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.settings.runs import KeptModels, RunSeeds
from fedscape.settings.samples import UsedSamples
from fedscape.settings.training import TrainingSettings

NAMES = dict.fromkeys(IDENTITY, "*")
CLASSES = 10  # of made-up data


@dataclass(frozen=True)
class Work:
    """A run's work in files, as fedscape reads it and, in `task`, as a loop written by hand does."""

    title: str
    dataset: Path
    partition: Path
    initial: Path
    task: Path
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a run took and gave."""

    seconds: list[float]  # of each round, from the reset of its clients to the averaged model
    loss: float  # of the last model on all clients' samples
    peak: float = 0.0  # largest memory, MB: allocated on a GPU, else of the process
    before: float = 0.0  # the same before the run


@dataclass(frozen=True)
class Algorithm:
    """A client rule with its settings."""

    kind: str = "fedavg"
    settings: Mapping[str, object] = field(default_factory=dict)


def make_work(
    title: str,
    dataset: Path,
    folder: Path,
    clients: int,
    images: int | None = None,
    model: str = "convnet",
    model_settings: Mapping[str, object] | None = None,
    scheme: str = "iid",
    settings: Mapping[str, object] | None = None,
    test_images: int | None = 1,
    seed: int = 0,
    **plan: object,
) -> Work:
    """Divide a prepared data set among clients and draw a model to start from.

    images, test_images: how many of the data set's are used; None for all. scheme, settings: of the division.
    plan: the remaining fields of `Task`.
    """
    data, model_settings = open_dataset(dataset), dict(model_settings or {})
    name = title.replace(" ", "-")
    initial, task = (folder / f"{name}.{kind}" for kind in ("safetensors", "pt"))
    partition = divide(dataset, folder / name, clients, images, test_images, scheme, settings, seed)
    parts = open_partition(partition, data)
    start = random_model(model, model_settings, data.shape, len(data.classes), seed).state_dict()
    write_weights(initial, start)
    Task(
        images=torch.from_numpy(data.train_inputs[parts.train]),
        labels=torch.from_numpy(data.train_labels[parts.train]),
        mean=torch.tensor(data.mean),
        std=torch.tensor(data.std),
        classes=len(data.classes),
        clients=[torch.from_numpy(np.searchsorted(parts.train, owned)) for owned in parts.clients],
        initial=start,
        model=model,
        model_settings=model_settings,
        **plan,
    ).save(task)
    return Work(title, dataset, partition, initial, task, seed)


def divide(
    dataset: Path,
    path: Path,
    clients: int,
    images: int | None = None,
    test_images: int | None = 1,
    scheme: str = "iid",
    settings: Mapping[str, object] | None = None,
    seed: int = 0,
) -> Path:
    """A partition of a prepared data set, in a file beside `path`; the arguments are those of `make_work`."""
    npz, csv = path.with_suffix(".npz"), path.with_suffix(".csv")
    make_partition(
        dataset=dataset,
        scheme=Plugin(scheme, settings or {}),
        clients=clients,
        partition_seed=seed,
        samples=UsedSamples(seed, images, test_images),
        identity=NAMES,
        npz=npz,
        csv=csv,
    )
    return npz


def digits(folder: Path) -> Path:
    """The bundled digits, prepared."""
    prepare_dataset("digits", Plugin("digits"), folder, folder / "digits")
    return folder / "digits"


def cifar10(root: Path, folder: Path) -> Path:
    """CIFAR-10, prepared from `root`/cifar-10-batches-py."""
    if not (folder / "cifar10" / "dataset.json").is_file():
        prepare_dataset("cifar10", Plugin("cifar10"), root, folder / "cifar10")
    return folder / "cifar10"


def noise(shape: tuple[int, int, int], samples: int, folder: Path) -> Path:
    """Random images uint8 with random labels, where it does not matter what is learned."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (samples, *shape), dtype=np.uint8)
    labels = draw.integers(0, CLASSES, samples)
    classes = tuple(map(str, range(CLASSES)))
    raw = Raw(classes, Inputs.of(images), labels, Inputs.of(images[:CLASSES]), labels[:CLASSES])
    write_dataset(folder / "noise", "noise", "noise", raw)
    return folder / "noise"


def fedscape(
    work: Work,
    algorithm: Algorithm = Algorithm(),
    lanes: int | str = "auto",
    device: str = "cpu",
    folder: Path | None = None,
    **training: object,
) -> Outcome:
    """Train by `train_run`, as the workflow does. All that the benchmarks know of the engine is in here.

    folder: where the run's files go, a temporary one if None. training: more of the training settings.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            return fedscape(work, algorithm, lanes, device, Path(temporary), **training)
    task = open_task(work.task, device)
    outputs = {
        name: folder / f"{name}.{suffix}"
        for suffix, names in (
            ("safetensors", ("trajectory", "clients", "final")),
            ("csv", ("rounds", "timing")),
            ("json", ("run",)),
        )
        for name in names
    }
    before = _memory(device)
    with redirect_stderr(StringIO()):  # its lines about each round
        train_run(
            identity=NAMES,
            inputs=RunInputs(work.dataset, work.partition, work.initial),
            model=Plugin(task.model, task.model_settings),
            method=FederatedMethod(
                algorithm=Plugin(algorithm.kind, dict(algorithm.settings)),
                server=Plugin("average"),
                training=TrainingSettings(
                    rounds=task.rounds,
                    local_epochs=task.epochs,
                    batch_size=task.batch_size,
                    lr=task.lr,
                    momentum=task.momentum,
                    lanes=lanes,
                    **{"evaluate_every": task.rounds} | training,
                ),
            ),
            seeds=RunSeeds(seed=work.seed, order_seed=work.seed),
            kept=KeptModels(keep_rounds=[]),
            outputs=RunOutputs(**outputs),
            resume=Resume(folder / "resume", f"benchmark {algorithm} {task.rounds} {work.seed}"),
            device=device,
        )
    timing = pd.read_csv(outputs["timing"])
    seconds = timing.loc[timing["round"] > 0, "training_seconds"].tolist()
    loss = final_loss(task, read_weights(outputs["final"]))
    return Outcome(seconds, loss, timing["peak_memory_mib"].max(), before)


def _memory(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / MEGABYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RESIDENT_UNIT / MEGABYTE


def by_hand(loop: Callable[[Task], dict], work: Work, device: str = "cpu") -> Outcome:
    """Time a loop of `plain.py`; its rounds are not told apart."""
    task = open_task(work.task, device)
    began = time.perf_counter()
    state = loop(task)
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return Outcome([time.perf_counter() - began], final_loss(task, state))


def step_flops(model: str, settings: Mapping[str, object], shape: tuple[int, int, int], batch: int) -> int:
    """Operations of a client's step, forward and backward: two per multiplication in the layers."""
    module = random_model(model, dict(settings), shape, CLASSES, 0)
    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(batch, *shape)).sum().backward()
    return counter.get_total_flops()
