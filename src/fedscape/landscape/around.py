"""The plane of two given directions around one model."""

import torch
from torch import Tensor

from fedscape.landscape.material import Mark, Material
from fedscape.landscape.plane import Plane


def plane_around(
    *,
    material: Material,
    mark: Mark,
    directions: Tensor,
    axes: str,
    radius: float,
    curvature: tuple[float, float] | None = None,
) -> Plane:
    """The plane through the model of `mark`, drawn up to `radius` each way; its buffers stay as they are.

    directions: float32 [2, P]. axes, curvature: as in `Plane`.
    """
    floats, counters = material.buffer_vectors(mark)
    return Plane(
        layout=material.layout,
        centre=material.parameters(mark),
        directions=directions,
        floats=floats,
        counters=counters,
        buffer_directions=torch.zeros(2, len(floats)),
        axes=axes,
        box=(-radius, radius, -radius, radius),
        curvature=curvature,
    )
