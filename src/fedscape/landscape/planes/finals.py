"""The plane of the two directions in which the final models of several runs differ most.

Principal components of the finals around their mean, which is the centre. With four models or more the
plane cannot hold them all: the residuals say how far each one lies off it. The float buffers are the mean of
the finals' buffers, as averaging the models would make them; counters are the first run's.
"""

from dataclasses import dataclass

import numpy as np

from fedscape.landscape.material import Mark, Material
from fedscape.landscape.pca import principal_plane
from fedscape.landscape.plane import Plane

AXES = "pca"
FEWEST_RUNS = 2
MOST_RUNS = None
CLIENTS = False
THROUGH_MODELS = True


@dataclass(frozen=True)
class Settings:
    """The plane has no settings."""


def marks(material: Material, settings: Settings) -> list[Mark]:
    """The last kept round of every run."""
    return material.finals()


def plane(material: Material, settings: Settings) -> Plane:
    """The plane of the final models."""
    models = marks(material, settings)
    parameters, floats, counters = material.stacked(models)
    floats = floats.double()
    weights = np.full(len(models), 1 / len(models))

    def block(start: int, stop: int) -> np.ndarray:
        rows = parameters[:, start:stop].double().numpy()
        return rows - weights @ rows

    return principal_plane(
        layout=material.layout,
        block=block,
        weights=weights,
        buffers=(floats - floats.mean(dim=0)).numpy(),
        centre=parameters.double().mean(dim=0).float(),
        floats=floats.mean(dim=0).float(),
        counters=counters[0],
    )
