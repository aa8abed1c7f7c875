"""The plane of the two directions along which the global models of one or several runs move most.

Principal components of every kept round of every run (Li et al., Visualizing the Loss Landscape of Neural
Nets, 2018, section 7.2), through the final model of the first run, the reference. Each run has the same
weight, however many rounds it keeps. Directions are not scaled: coordinates are L2 distances of parameters.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedscape.checkpoints.checkpoint import Checkpoint
from fedscape.landscape.material import Mark, Material
from fedscape.landscape.pca import principal_plane
from fedscape.landscape.plane import Plane

AXES = "pca"
FEWEST_RUNS = 1
MOST_RUNS = None
CLIENTS = False
THROUGH_MODELS = True


@dataclass(frozen=True)
class Settings:
    """Where principal components are measured from."""

    centre: Literal["last", "mean"] = "last"  # the reference's final model (smaller residuals) or the mean


def marks(material: Material, settings: Settings) -> list[Mark]:
    """Every kept round of every run."""
    return [
        Mark(Checkpoint(run, number))
        for run, trajectory in enumerate(material.checkpoints.trajectories)
        for number in trajectory.rounds
    ]


def plane(material: Material, settings: Settings) -> Plane:
    """The plane of all kept rounds; the first run is the reference."""
    trajectories = material.checkpoints.trajectories
    kept = [len(trajectory.rounds) for trajectory in trajectories]
    weights = np.concatenate([np.full(rounds, 1 / rounds) for rounds in kept]) / len(kept)
    last = kept[0] - 1

    def centred(rows: np.ndarray) -> np.ndarray:
        rows = rows.astype(np.float64)
        return rows - (rows[last] if settings.centre == "last" else weights @ rows)

    def block(start: int, stop: int) -> np.ndarray:
        return centred(np.concatenate([trajectory.columns(start, stop) for trajectory in trajectories]))

    models = marks(material, settings)
    floats, counters = material.stacked_buffers(models)
    return principal_plane(
        layout=material.layout,
        block=block,
        weights=weights,
        buffers=centred(floats.numpy()),
        centre=material.parameters(models[last]),
        floats=floats[last],
        counters=counters[last],
    )
