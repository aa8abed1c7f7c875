"""The two directions in which the loss around one model is most strongly curved upwards.

Eigenvectors of the two algebraically largest eigenvalues of the Hessian of the train loss on the evaluated
samples, of unit length, as in figure 1 of Mendieta et al. (Local Learning Matters: Rethinking Data
Heterogeneity in Federated Learning, 2022). The network is in eval mode with the model's own running
statistics, so with batch_norm `keep` the surface's second derivatives at the centre are the eigenvalues.
"""

import math
from dataclasses import dataclass

import torch
from scipy.sparse.linalg import ArpackError

from fedscape.errors import FedscapeError
from fedscape.evaluation.eigenvalues import HessianProduct, top_eigenpairs
from fedscape.landscape.around import plane_around
from fedscape.landscape.material import Mark, Material
from fedscape.landscape.plane import Plane
from fedscape.moment import Moment

AXES = "eigenvectors"
FEWEST_RUNS = 1
MOST_RUNS = 1
CLIENTS = False
THROUGH_MODELS = False


@dataclass(frozen=True)
class Settings:
    """Around which model, and how far."""

    round: Moment = "last"  # a number, a share of all rounds, or the last one
    radius: float = 1.0  # L2 distance of parameters; Mendieta et al. draw -1 to 1

    def __post_init__(self):
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise ValueError(f"radius: got {self.radius}, must be positive and finite")


def marks(material: Material, settings: Settings) -> list[Mark]:
    """The model in the centre."""
    return [material.model(settings.round)]


def plane(material: Material, settings: Settings) -> Plane:
    """The plane of the top two eigenvectors; FedscapeError where the Hessian has none."""
    (mark,) = marks(material, settings)
    problem = material.problem
    centre = material.parameters(mark)
    product = HessianProduct.of(problem, centre, material.buffers(mark))
    try:
        pairs = top_eigenpairs(product, len(centre), 2, material.seed, problem.device)
    except ArpackError as error:
        path, number = material.checkpoints.trajectories[0].path, mark.checkpoint.round
        raise FedscapeError(f"{path}: round {number}: no eigenvectors found ({error})") from error
    vectors = torch.from_numpy(pairs.vectors)
    # An eigenvector's sign is free: its largest entry is positive.
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return plane_around(
        material=material,
        mark=mark,
        directions=(vectors * largest.sign()).float(),
        axes=AXES,
        radius=settings.radius,
        curvature=(float(pairs.values[0]), float(pairs.values[1])),
    )
