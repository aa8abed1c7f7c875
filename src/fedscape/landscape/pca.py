"""Principal directions of a few very long rows, by way of their small Gram matrix.

With rows C [n, P] and n far below P, the right singular vectors are V = C^T U / sqrt(lambda), where U and
lambda are the eigenpairs of C C^T [n, n]. Everything is float64 and walks the rows by blocks of columns, so
the rows are never in memory as a whole, and nothing is random (scikit-learn would pick a randomised solver).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fedscape.checkpoints.blocks import column_blocks
from fedscape.checkpoints.layout import Layout
from fedscape.errors import FedscapeError
from fedscape.jobs.streams import stream
from fedscape.landscape.plane import Plane

UNDETERMINED = 1e-12
"""Share of the largest eigenvalue below which a direction is the rounding of float32 weights, squared."""
FARTHEST = 1 - 1e-6
"""Rows this near the largest distance count as equally far, so rounding does not choose among them."""


def principal_plane(
    *,
    layout: Layout,
    block: Callable[[int, int], np.ndarray],
    weights: np.ndarray,
    buffers: np.ndarray,
    centre: Tensor,
    floats: Tensor,
    counters: Tensor,
) -> Plane:
    """The plane through `centre` of the principal directions of several models.

    block, weights: as in `principal_directions`. buffers: the models' float buffers, centred as their
    parameters are, float64 [n, B]. centre [P], floats [B], counters [C]: the centre and its buffers.
    """
    directions, explained, mixture = principal_directions(block, weights, layout.parameter_count)
    return Plane(
        layout=layout,
        centre=centre,
        directions=directions,
        floats=floats,
        counters=counters,
        buffer_directions=torch.from_numpy((mixture @ buffers).astype(np.float32)),
        axes="pca",
        explained=explained,
    )


def principal_directions(
    block: Callable[[int, int], np.ndarray], weights: np.ndarray, columns: int
) -> tuple[Tensor, tuple[float, float], np.ndarray]:
    """First two principal directions of weighted rows, and the share of the squared length each explains.

    block: gives the centred rows of columns start to stop, float64 [n, stop - start]. weights: [n], of the
    squared lengths. Returns orthonormal directions float32 [2, columns], the shares, and the mixture float64
    [2, n] of the centred rows that each direction is. The first of the rows that lie farthest along a
    direction has a negative coordinate, so a start is left of its end. A direction that the rows do not
    determine (two models span a line) is drawn from a fixed stream, explains nothing and mixes nothing.
    Raises FedscapeError where all rows are the same.
    """
    scale = np.sqrt(weights)[:, None]
    rows = len(weights)
    gram = np.zeros((rows, rows))
    for start, stop in column_blocks(rows, columns):
        part = block(start, stop) * scale
        gram += part @ part.T
    values, vectors = np.linalg.eigh(gram)
    order = np.argsort(values)[::-1][:2]
    determined = [k for k in order if values[k] > UNDETERMINED * values.max()]
    if not determined:
        raise FedscapeError(
            "the models that the plane should lie through are one and the same, so no direction lies between "
            "them; use kind random or eigenvectors"
        )
    directions, mixture = np.empty((2, columns)), np.zeros((2, rows))
    mixture[: len(determined)] = vectors[:, determined].T * scale[:, 0]
    for start, stop in column_blocks(rows, columns):
        part = block(start, stop) * scale
        directions[: len(determined), start:stop] = vectors[:, determined].T @ part
    for axis, k in enumerate(determined):
        along = vectors[:, k] / scale[:, 0]
        first = np.argmax(np.abs(along) >= FARTHEST * np.abs(along).max())
        directions[axis] *= -np.sign(along[first])
        mixture[axis] *= -np.sign(along[first])
    for axis in range(len(determined), 2):
        directions[axis] = stream(0, "direction", axis).standard_normal(columns)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions /= lengths
    mixture /= lengths
    # Orthogonal but for rounding, unless the second one was drawn.
    overlap = directions[0] @ directions[1]
    directions[1] -= overlap * directions[0]
    directions[1] /= np.linalg.norm(directions[1])
    shares = [values[k] / values.clip(min=0).sum() for k in determined] + [0.0] * (2 - len(determined))
    explained = float(shares[0]), float(shares[1])
    return torch.from_numpy(directions.astype(np.float32)), explained, mixture
