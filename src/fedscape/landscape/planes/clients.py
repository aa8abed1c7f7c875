"""One round seen from near: its start, the models that the clients hand back, and their aggregate.

Principal components of all of these, measured from the aggregate, which is the centre. Clients' updates are
nearly at right angles to each other, so two directions hold only part of them: see the residuals. Models
between a client's local epochs are marked where the run keeps them, but do not turn the plane.
"""

from dataclasses import dataclass

import numpy as np

from fedscape.checkpoints.checkpoint import Checkpoint
from fedscape.landscape.material import Mark, Material
from fedscape.landscape.pca import principal_plane
from fedscape.landscape.plane import Plane
from fedscape.moment import Moment

AXES = "pca"
FEWEST_RUNS = 1
MOST_RUNS = 1
CLIENTS = True
THROUGH_MODELS = True


@dataclass(frozen=True)
class Settings:
    """Which round, and what of it is marked."""

    round: Moment = "last"  # a number, a share of all rounds, or the last one
    paths: bool = True  # mark the clients' models between local epochs, where they are kept


def marks(material: Material, settings: Settings) -> list[Mark]:
    """The start, the aggregate, and each client with the points of its way."""
    number = material.number(settings.round)
    clients = material.checkpoints.clients[0]
    epochs = range(1, clients.path_points + 1) if settings.paths else ()
    marked = [Mark(Checkpoint(0, number - 1), "start"), Mark(Checkpoint(0, number), "aggregate")]
    for client in clients.clients(number).tolist():
        marked.append(Mark(Checkpoint(0, number, client), "client"))
        marked += [Mark(Checkpoint(0, number, client, epoch), "path") for epoch in epochs]
    return marked


def plane(material: Material, settings: Settings) -> Plane:
    """The plane of the round's start, clients and aggregate."""
    models = [mark for mark in marks(material, settings) if mark.role != "path"]
    aggregate = next(row for row, mark in enumerate(models) if mark.role == "aggregate")
    parameters, floats, counters = material.stacked(models)
    offsets = floats.double() - floats[aggregate].double()

    def block(start: int, stop: int) -> np.ndarray:
        rows = parameters[:, start:stop].double().numpy()
        return rows - rows[aggregate]

    return principal_plane(
        layout=material.layout,
        block=block,
        weights=np.full(len(models), 1 / len(models)),
        buffers=offsets.numpy(),
        centre=parameters[aggregate],
        floats=floats[aggregate],
        counters=counters[aggregate],
    )
