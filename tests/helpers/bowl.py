"""A model whose cross-entropy is a known quadratic of its parameters, and the files of runs that hold it.

With logits (z, 0) and label 0 the cross-entropy is log(1 + exp(-z)). The bowl chooses z such that this is

    q(theta) = FLOOR + 1/2 (theta - MINIMUM)^T CURVATURE (theta - MINIMUM)

for every image, so a stage that handles real models must find the bowl's surface, barriers and eigenvalues.
A prediction is wrong where q > log 2.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fedscape.checkpoints.layout import layout_of
from fedscape.checkpoints.writer import clients_writer, trajectory_writer
from fedscape.data.storage import Inputs, Raw, write_dataset

SIZE = 6
EIGENVALUES = np.array([3.0, 1.5, 0.7, 0.2, 0.05, -0.1])
FLOOR = 0.5
ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((SIZE, SIZE)))[0]
CURVATURE = ROTATION @ np.diag(EIGENVALUES) @ ROTATION.T
MINIMUM = np.random.default_rng(1).uniform(-0.3, 0.3, SIZE)


def quadratic(theta: np.ndarray) -> float:
    """q(theta) in float64."""
    offset = np.asarray(theta, dtype=np.float64) - MINIMUM
    return FLOOR + 0.5 * offset @ CURVATURE @ offset


@dataclass(frozen=True)
class Settings:
    """None."""


class Bowl(nn.Module):
    def __init__(self):
        super().__init__()
        # Two tensors, so that the order in which they are flattened matters.
        self.second = nn.Parameter(torch.zeros(2, 2))
        self.first = nn.Parameter(torch.zeros(2))

    def forward(self, images):
        theta = torch.cat([self.second.reshape(-1), self.first])
        offset = theta - torch.tensor(MINIMUM, dtype=theta.dtype)
        loss = FLOOR + 0.5 * offset @ torch.tensor(CURVATURE, dtype=theta.dtype) @ offset
        logit = -(loss + torch.log(-torch.expm1(-loss)))
        return torch.stack([logit, torch.zeros_like(logit)]).expand(len(images), 2)


def build(settings, shape, classes):
    return Bowl()


def world(folder: Path, runs: list[np.ndarray], seed: int = 0) -> dict:
    """Write a data set, a partition and trajectories [kept, SIZE] of bowls; the stages' common arguments."""
    sys.modules["fedscape.models.networks.bowl"] = sys.modules[__name__]
    write_images(folder / "data", train=40, test=10)
    write_partition(folder / "partition.npz", train=np.arange(40), test=np.arange(10))
    paths = []
    for number, rows in enumerate(runs):
        paths.append(folder / f"run{number}" / "trajectory.safetensors")
        write_models(paths[-1], Bowl(), rows)
    return {
        "model": "bowl",
        "model_settings": {},
        "dataset_folder": folder / "data",
        "partition": folder / "partition.npz",
        "trajectories": paths,
        "runs": [identity(partition=f"p{number}") for number in range(len(runs))],
        "samples": None,
        "seed": seed,
        "device": "cpu",
    }


def identity(**changes) -> dict:
    names = dict.fromkeys(("study", "scale", "dataset", "model", "partition", "init", "method"), "a")
    return {**names, "seed": 0, **changes}


def write_images(folder: Path, train: int, test: int, shape=(1, 4, 4)) -> None:
    """Random images, all of class 0 of two."""
    draw = np.random.default_rng(2)
    images = [Inputs.of(draw.integers(0, 256, (count, *shape), dtype=np.uint8)) for count in (train, test)]
    labels = [np.zeros(count, dtype=np.int64) for count in (train, test)]
    write_dataset(folder, "noise", "noise", Raw(("a", "b"), images[0], labels[0], images[1], labels[1]))


def write_partition(path: Path, train: np.ndarray, test: np.ndarray, clients: int = 1) -> None:
    """Clients of equal sizes (but for one sample), one after the other."""
    none = np.zeros(0, dtype=np.int64)
    offsets = np.linspace(0, len(train), clients + 1).astype(np.int64)
    np.savez(path, train=train, validation=none, test=test, indices=train, offsets=offsets)


def write_models(
    path: Path,
    module: nn.Module,
    rows: np.ndarray,
    clients: np.ndarray | None = None,
    paths: np.ndarray | None = None,
    buffers: np.ndarray | None = None,
) -> None:
    """A trajectory of `rows` [kept, P] and `clients` [rounds, n, P] beside it, from round 1 on.

    paths: models of the clients' ways there [rounds, n, points, P]. buffers: float buffers of `rows`
    [kept, B]; without them, and for clients, those of the module.
    """
    layout = layout_of(module)
    path.parent.mkdir(parents=True, exist_ok=True)
    named = dict(module.named_buffers())
    floats = torch.cat([torch.empty(0), *(named[name].reshape(-1) for name, _ in layout.buffers)])
    counters = torch.tensor([named[name].item() for name, _ in layout.counters], dtype=torch.int64)
    buffers = np.tile(floats, (len(rows), 1)) if buffers is None else buffers
    writer = trajectory_writer(path, layout, range(len(rows)))
    for number, row in enumerate(rows):
        vectors = {"parameters": np.float32(row), "buffers": np.float32(buffers[number])}
        writer.write(number, **vectors, counters=counters)
    writer.close()
    clients = np.zeros((0, 0, layout.parameter_count)) if clients is None else clients
    paths = np.zeros((*clients.shape[:2], 0, layout.parameter_count)) if paths is None else paths
    points = paths.shape[2]
    writer = clients_writer(
        path.with_name("clients.safetensors"), layout, range(1, len(clients) + 1), clients.shape[1], points
    )
    for number, models in enumerate(clients):
        writer.write(number, clients=np.arange(len(models)))
        for place, row in enumerate(models):
            vectors = {"parameters": np.float32(row), "buffers": floats, "counters": counters}
            if points:
                vectors |= {
                    "path_parameters": np.float32(paths[number, place]),
                    "path_buffers": np.tile(floats, (points, 1)),
                    "path_counters": np.tile(counters, (points, 1)),
                }
            writer.write(number, place, **vectors)
    writer.close()


WRONG_ABOVE = math.log(2)
