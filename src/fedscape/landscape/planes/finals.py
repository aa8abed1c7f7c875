"""The plane of the two directions in which the final models of several runs differ most.

Principal components of the finals around their mean, which is the centre. With four models or more the
plane cannot hold them all: the residuals say how far each one lies off it. The float buffers are the mean of
the finals' buffers, as averaging the models would make them; counters are the first run's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fedscape.federated.trajectory import Trajectory
from fedscape.landscape.principal import principal_directions
from fedscape.landscape.projection import Plane
from fedscape.models.layout import flatten


@dataclass(frozen=True)
class Settings:
    """The plane has no settings."""


def marks(trajectories: Sequence[Trajectory]) -> list[tuple[int, int]]:
    """The models to mark, as (run, round): the last kept round of every run."""
    return [(run, trajectory.last) for run, trajectory in enumerate(trajectories)]


def plane(trajectories: Sequence[Trajectory], settings: Settings) -> Plane:
    """The plane of the final models."""
    layout = trajectories[0].layout
    states = [one.state(one.last) for one in trajectories]
    vectors = [flatten({**parameters, **buffers}, layout) for parameters, buffers in states]
    parameters, floats, counters = zip(*vectors, strict=True)
    weights = np.full(len(trajectories), 1 / len(trajectories))
    stacked = torch.stack(parameters)

    def block(start: int, stop: int) -> np.ndarray:
        rows = stacked[:, start:stop].double().numpy()
        return rows - weights @ rows

    directions, explained = principal_directions(block, weights, layout.parameter_count)
    return Plane(
        layout=layout,
        centre=stacked.double().mean(dim=0).float(),
        directions=directions,
        floats=torch.stack(floats).double().mean(dim=0).float(),
        counters=counters[0],
        explained=explained,
    )
