"""A small smooth net with batch norm whose loss differs from sample to sample, and files of runs that hold it."""

import sys
from dataclasses import dataclass
from pathlib import Path

import bowl
import numpy as np
from torch import nn

from fedscape.checkpoints.layout import layout_of

ROUNDS, CLIENTS, POINTS = 4, 3, 2  # kept global models, clients, models kept of each client's way


@dataclass(frozen=True)
class Settings:
    """None."""


class Normed(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2))


def build(settings, shape, classes):
    return Normed()


def world(folder: Path, runs: int) -> dict:
    """As `bowl.world`, of `runs` runs of this net, with the clients' models of every round."""
    given = bowl.world(folder, [np.zeros((1, bowl.SIZE))] * runs)
    sys.modules["fedscape.models.networks.normed"] = sys.modules[__name__]
    bowl.write_partition(folder / "partition.npz", np.arange(40), np.arange(10), clients=CLIENTS)
    for number, path in enumerate(given["trajectories"]):
        draw = np.random.default_rng(number)
        layout = layout_of(Normed())
        # Running means around 0, running variances around 1.
        buffers = draw.uniform(0.6, 1.4, (ROUNDS, layout.buffer_count)) - np.repeat([1, 0], 3)
        shape = (ROUNDS - 1, CLIENTS)
        bowl.write_models(
            path,
            Normed(),
            0.5 * draw.standard_normal((ROUNDS, layout.parameter_count)),
            clients=0.5 * draw.standard_normal((*shape, layout.parameter_count)),
            paths=0.5 * draw.standard_normal((*shape, POINTS, layout.parameter_count)),
            buffers=buffers,
        )
    clients = [path.with_name("clients.safetensors") for path in given["trajectories"]]
    return given | {"model": "normed", "clients": clients, "batch_norm": "keep"}
