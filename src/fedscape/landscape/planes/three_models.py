"""The plane that holds the final models of three runs exactly.

Garipov et al. (Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs, 2018): the first
run's model is the centre, the first direction points to the second run's model, the second one, at right
angles to it, to the third's. Directions have unit length, so coordinates are L2 distances of parameters.
Further runs are marked but lie off the plane. Fewer models than three (runs that diverged) leave a direction
open: it is drawn from a fixed stream.
"""

from dataclasses import dataclass

import torch

from fedscape.jobs.streams import stream
from fedscape.landscape.material import Mark, Material
from fedscape.landscape.plane import Plane

AXES = "models"
FEWEST_RUNS = 3
MOST_RUNS = None
CLIENTS = False
THROUGH_MODELS = True
SPANNING = 3
"""Models that span the plane."""
UNDETERMINED = 1e-6
"""Share of a model's distance below which its part off the first direction is rounding of float32 weights."""


@dataclass(frozen=True)
class Settings:
    """The plane has no settings."""


def marks(material: Material, settings: Settings) -> list[Mark]:
    """The last kept round of every run."""
    return material.finals()


def plane(material: Material, settings: Settings) -> Plane:
    """The plane of the first three final models."""
    models = marks(material, settings)[:SPANNING]
    parameters, floats, counters = material.stacked(models)
    directions = torch.zeros(2, len(parameters[0]), dtype=torch.float64)
    buffers = torch.zeros(2, len(floats[0]), dtype=torch.float64)
    for axis in range(2):
        model = axis + 1
        offset, change = torch.zeros_like(directions[axis]), torch.zeros_like(buffers[axis])
        if model < len(models):
            offset, change = (
                vectors[model].double() - vectors[0].double() for vectors in (parameters, floats)
            )
        distance = torch.linalg.vector_norm(offset)
        # Of the first axis itself nothing is taken off: its row is still zero.
        along = directions[0] @ offset
        offset, change = offset - along * directions[0], change - along * buffers[0]
        length = torch.linalg.vector_norm(offset)
        if length <= UNDETERMINED * distance:
            offset = torch.from_numpy(stream(0, "direction", axis).standard_normal(len(offset)))
            offset -= (directions[0] @ offset) * directions[0]
            change, length = torch.zeros_like(change), torch.linalg.vector_norm(offset)
        directions[axis], buffers[axis] = offset / length, change / length
    return Plane(
        layout=material.layout,
        centre=parameters[0],
        directions=directions.float(),
        floats=floats[0],
        counters=counters[0],
        buffer_directions=buffers.float(),
        axes=AXES,
    )
