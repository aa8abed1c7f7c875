"""What the benchmarks of training share: work that all get alike, a run of fedscape, and taking turns."""

import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr
from dataclasses import dataclass, field, replace
from functools import partial
from io import StringIO
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from plain import Task, final_loss, open_task
from torch.utils.flop_counter import FlopCounterMode

from fedscape.data.partition import make_partition, open_partition
from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import Images, Raw, open_dataset, write_dataset
from fedscape.federated.records import MEGABYTE, RESIDENT_UNIT
from fedscape.federated.train import train_run
from fedscape.federated.weights import read_weights, write_weights
from fedscape.job import keep_freed_memory
from fedscape.models.build import random_model
from fedscape.study.training import TrainingSettings

NAMES = dict.fromkeys(("study", "scale", "dataset", "model", "partition", "init", "method", "seed"), "*")
CLASSES = 10  # of made-up data


@dataclass(frozen=True)
class Work:
    """A run's work in files, as fedscape reads it and, in `task`, as a loop written by hand does."""

    title: str
    dataset: Path
    partition: Path
    initial: Path
    task: Path


@dataclass(frozen=True)
class Outcome:
    """What a run took and gave."""

    seconds: list[float]  # of each round, from the reset of its clients to the averaged model
    loss: float  # of the last model on all clients' samples
    peak: float = 0.0  # largest memory, MB: allocated on a GPU, else of the process
    before: float = 0.0  # the same before the run


@dataclass(frozen=True)
class Way:
    """One of those that do the same work: what to call in a process of its own, and how that is set up."""

    call: Callable[[], Outcome]
    keep_freed_memory: bool = False  # as fedscape's jobs do


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
    **plan: object,
) -> Work:
    """Divide a prepared data set evenly among clients and draw a model to start from.

    images: how many of the data set's are used; None for all. plan: the remaining fields of `Task`.
    """
    data, settings = open_dataset(dataset), dict(model_settings or {})
    name = title.replace(" ", "-")
    files = {kind: folder / f"{name}.{kind}" for kind in ("npz", "csv", "safetensors", "pt")}
    make_partition(dataset_folder=dataset, scheme="iid", clients=clients, settings={}, seed=0,
                   partition_seed=0, images=images, test_images=1, validation=0.0, identity=NAMES,
                   npz=files["npz"], csv=files["csv"])  # fmt: skip
    parts = open_partition(files["npz"])
    start = random_model(model, settings, data.shape, len(data.classes), 0).state_dict()
    write_weights(files["safetensors"], start)
    Task(
        images=torch.from_numpy(data.train_inputs[parts.train]),
        labels=torch.from_numpy(data.train_labels[parts.train]),
        mean=torch.tensor(data.mean),
        std=torch.tensor(data.std),
        classes=len(data.classes),
        clients=[torch.from_numpy(np.searchsorted(parts.train, owned)) for owned in parts.clients],
        initial=start,
        model=model,
        model_settings=settings,
        **plan,
    ).save(files["pt"])
    return Work(title, dataset, files["npz"], files["safetensors"], files["pt"])


def digits(folder: Path) -> Path:
    """The bundled digits, prepared."""
    prepare_dataset("digits", "digits", {}, folder, folder / "digits")
    return folder / "digits"


def cifar10(root: Path, folder: Path) -> Path:
    """CIFAR-10, prepared from `root`/cifar-10-batches-py."""
    prepare_dataset("cifar10", "cifar10", {}, root, folder / "cifar10")
    return folder / "cifar10"


def noise(shape: tuple[int, int, int], samples: int, folder: Path) -> Path:
    """Random images uint8 with random labels, where it does not matter what is learned."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (samples, *shape), dtype=np.uint8)
    labels = draw.integers(0, CLASSES, samples)
    classes = tuple(map(str, range(CLASSES)))
    raw = Raw(classes, Images.of(images), labels, Images.of(images[:CLASSES]), labels[:CLASSES])
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
            dataset=work.dataset,
            partition=work.partition,
            initial=work.initial,
            model=task.model,
            model_settings=task.model_settings,
            algorithm=algorithm.kind,
            algorithm_settings=dict(algorithm.settings),
            server="average",
            server_settings={},
            training=TrainingSettings(
                rounds=task.rounds,
                local_epochs=task.epochs,
                batch_size=task.batch_size,
                lr=task.lr,
                momentum=task.momentum,
                evaluate_every=task.rounds,
                lanes=lanes,
                **training,
            ),
            seed=0,
            order_seed=0,
            keep_rounds=[],
            client_rounds=[],
            client_paths=False,
            device=device,
            fingerprint="benchmark",
            resume=folder / "resume",
            **outputs,
        )
    timing = pd.read_csv(outputs["timing"])
    seconds = timing.loc[timing["round"] > 0, "seconds"].tolist()
    loss = final_loss(task, read_weights(outputs["final"]))
    return Outcome(seconds, loss, timing["peak_memory_mb"].max(), before)


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


def in_turns(ways: Mapping[str, Way], repetitions: int, threads: int) -> dict[str, list[Outcome]]:
    """Have everybody do the work once per repetition, in turns, so that noise hits all alike.

    Each has a process of its own, since the memory that one has freed changes the speed of the next. A first
    turn, which warms up, does not count, but for the memory `before` it.
    """
    workers = {
        name: ProcessPoolExecutor(1, get_context("spawn"), _set_up, (threads, way.keep_freed_memory))
        for name, way in ways.items()
    }
    names = list(ways)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    try:
        for repetition in range(repetitions + 1):
            first = repetition % len(names)
            for name in names[first:] + names[:first]:  # nobody always runs after the same other
                outcome = workers[name].submit(_call, ways[name].call).result()
                outcomes[name].append(replace(outcome, before=(outcomes[name] or [outcome])[0].before))
    finally:
        for worker in workers.values():
            worker.shutdown()
    return {name: every[1:] for name, every in outcomes.items()}


def _set_up(threads: int, keep: bool) -> None:
    torch.set_num_threads(threads)
    if keep:
        keep_freed_memory()


def _call(call: partial) -> Outcome:
    return call()


def step_flops(model: str, settings: Mapping[str, object], shape: tuple[int, int, int], batch: int) -> int:
    """Operations of a client's step, forward and backward: two per multiplication in the layers."""
    module = random_model(model, dict(settings), shape, CLASSES, 0)
    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(batch, *shape)).sum().backward()
    return counter.get_total_flops()
