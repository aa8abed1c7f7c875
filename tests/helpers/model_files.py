"""A small network with batch norm, its weights, and a plane through them."""

import torch
from torch import nn

from fedscape.checkpoints.layout import Layout, layout_of
from fedscape.landscape.plane import Plane

MODULE = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
WEIGHTS = {name: tensor.clone() for name, tensor in MODULE.state_dict().items()}
LAYOUT = layout_of(MODULE)


def plane(layout: Layout) -> Plane:
    parameters, buffers = layout.parameter_count, layout.buffer_count
    return Plane(
        layout=layout,
        centre=torch.zeros(parameters),
        directions=torch.eye(2, parameters),
        floats=torch.zeros(buffers),
        counters=torch.zeros(layout.counter_count, dtype=torch.int64),
        buffer_directions=torch.zeros(2, buffers),
        axes="random",
    )
