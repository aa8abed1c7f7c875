"""The density of a Hessian's eigenvalues by stochastic Lanczos quadrature.

From a random vector v, m steps of the Lanczos process give a tridiagonal matrix T; its eigenvalues and the
squares of the first entries of its eigenvectors are the nodes and weights of Gauss quadrature for the
spectral measure of v, whose mean over v is the density of the eigenvalues (Ubaru, Chen & Saad, 2017;
Ghorbani, Krishnan & Xiao, Neural Net Optimization via Hessian Eigenvalue Density, 2019).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from fedscape.curvature.traces import Product, probes
from fedscape.evaluation.krylov import lanczos

POINTS = 512
"""Eigenvalues at which the density is given."""
MARGIN = 4.0
"""Space beyond the outermost nodes, in widths of the smoothing: nothing is cut off."""


@dataclass(frozen=True)
class Quadrature:
    """Of each test vector, nodes and weights (adding up to 1): float64 [steps], fewer where it broke down."""

    nodes: list[np.ndarray]
    weights: list[np.ndarray]

    def mean(self, function: Callable[[np.ndarray], np.ndarray]) -> float:
        """The mean of a function over the eigenvalues, tr f(A) / P."""
        pairs = zip(self.nodes, self.weights, strict=True)
        return float(np.mean([weights @ function(nodes) for nodes, weights in pairs]))


def quadrature(
    product: Product, size: int, steps: int, vectors: int, seed: int, device: torch.device
) -> Quadrature:
    """Nodes and weights from Rademacher vectors of the stream `probe`; takes steps x vectors products.

    Raises FloatingPointError where a product is not finite.
    """
    nodes, weights = [], []
    for start in probes(vectors, size, seed, device):
        *_, state = lanczos(product, start, steps)
        if not np.isfinite(state.diagonal).all():
            raise FloatingPointError("a Hessian product is not finite")
        values, eigenvectors = state.eigen()
        nodes.append(values)
        weights.append(eigenvectors[0] ** 2)
    return Quadrature(nodes, weights)


def smoothed(quadrature: Quadrature, width: float, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [points], evenly spread, and the density there, smoothed by a Gaussian; its integral is 1.

    width: standard deviation of the Gaussian, as a share of the range of the nodes.
    """
    low, high = min(map(np.min, quadrature.nodes)), max(map(np.max, quadrature.nodes))
    # An operator with one eigenvalue has no range.
    deviation = width * (high - low) or width * max(abs(high), 1.0)
    grid = np.linspace(low - MARGIN * deviation, high + MARGIN * deviation, points)
    density = np.zeros(points)
    for nodes, weights in zip(quadrature.nodes, quadrature.weights, strict=True):
        bells = np.exp(-0.5 * ((grid[:, None] - nodes) / deviation) ** 2)
        density += bells @ weights / (deviation * np.sqrt(2 * np.pi))
    return grid, density / len(quadrature.nodes)
