"""Two random directions around one model, scaled filter by filter to its weights.

Li et al. (Visualizing the Loss Landscape of Neural Nets, 2018, section 4): Gaussian directions d in which
each filter d_f is given the length of the model's filter, d_f * ||w_f|| / ||d_f||. A filter is a row of the
first axis: one output channel of a convolution, one output of a linear layer. So the picture stays the same
if filters are scaled and those after them undo it, each by one factor, or if batch norm does. Biases and norm
layers have no filters: they stay as they are, as in the paper's plots, or (`ignore: none`) move along
themselves, as in the authors' code. The two directions are not made orthogonal, as theirs are not;
coordinates are multiples of them, no distances.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch

from fedscape.evaluation.directions import filter_normalised
from fedscape.landscape.around import plane_around
from fedscape.landscape.material import Mark, Material
from fedscape.landscape.plane import Plane
from fedscape.moment import Moment

AXES = "random"
FEWEST_RUNS = 1
MOST_RUNS = 1
CLIENTS = False
THROUGH_MODELS = False


@dataclass(frozen=True)
class Settings:
    """Around which model, how far, and what the directions leave alone."""

    round: Moment = "last"  # a number, a share of all rounds, or the last one
    ignore: Literal["vectors", "none"] = "vectors"  # vectors: biases and norm layers do not move
    radius: float = 1.0  # in multiples of the directions; the paper draws -1 to 1

    def __post_init__(self):
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise ValueError(f"radius: got {self.radius}, must be positive and finite")


def marks(material: Material, settings: Settings) -> list[Mark]:
    """The model in the centre."""
    return [material.model(settings.round)]


def plane(material: Material, settings: Settings) -> Plane:
    """The plane of two directions drawn from the stream `direction` of the material's seed."""
    (mark,) = marks(material, settings)
    centre = material.parameters(mark)
    directions = [
        filter_normalised(centre, material.layout, material.seed, k, settings.ignore) for k in range(2)
    ]
    return plane_around(
        material=material, mark=mark, directions=torch.stack(directions), axes=AXES, radius=settings.radius
    )
