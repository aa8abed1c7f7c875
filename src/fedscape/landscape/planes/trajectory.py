"""The plane of the two directions along which the global models of one or several runs move most.

Principal components of every kept round of every run (Li et al., Visualizing the Loss Landscape of Neural
Nets, 2018, section 7.2), through the final model of the first run, the reference. Each run has the same
weight, however many rounds it keeps. Directions are not scaled: coordinates are L2 distances of parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedscape.federated.trajectory import Trajectory
from fedscape.landscape.principal import principal_directions
from fedscape.landscape.projection import Plane
from fedscape.models.layout import flatten


@dataclass(frozen=True)
class Settings:
    """Where principal components are measured from."""

    centre: Literal["last", "mean"] = "last"  # the reference's final model (smaller residuals) or the mean


def marks(trajectories: Sequence[Trajectory]) -> list[tuple[int, int]]:
    """The models to mark, as (run, round): every kept round."""
    return [(run, number) for run, trajectory in enumerate(trajectories) for number in trajectory.rounds]


def plane(trajectories: Sequence[Trajectory], settings: Settings) -> Plane:
    """The plane of all kept rounds; `trajectories[0]` is the reference run."""
    reference = trajectories[0]
    kept = [len(trajectory.rounds) for trajectory in trajectories]
    weights = np.concatenate([np.full(rounds, 1 / rounds) for rounds in kept]) / len(kept)
    last = kept[0] - 1

    def block(start: int, stop: int) -> np.ndarray:
        rows = np.concatenate([one.columns(start, stop) for one in trajectories]).astype(np.float64)
        return rows - (rows[last] if settings.centre == "last" else weights @ rows)

    directions, explained = principal_directions(block, weights, reference.layout.parameter_count)
    _, floats, counters = flatten(
        {**reference.state(reference.last)[0], **reference.buffers(reference.last)}, reference.layout
    )
    return Plane(
        layout=reference.layout,
        centre=reference.parameters(reference.last),
        directions=directions,
        floats=floats,
        counters=counters,
        explained=explained,
    )
