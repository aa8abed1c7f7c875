"""How far a loss surface is from smooth: which share of its bending is concave.

Second differences of the loss per squared distance, along x, y and both diagonals: the sum of the
negative ones' magnitudes over that of all. It is 0 for a convex surface, however deep or narrow, and 0.5 for
waves. Li et al. (2018, "Visualizing the loss landscape of neural nets") judge smoothness likewise, by how
negative the curvature is beside the positive one ("chaotic" surfaces are those with much of it). It is taken
of the loss, not of its logarithm, which bends the more the deeper the loss gets: a bowl whose floor is near
zero would be rough. Far from all models a loss can be astronomic: what lies above the picture's ceiling, ten
times the worst model's loss (or a loss of 10), is left out, and so is what is not finite.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedscape.tables.surfaces import Grid, grids, loss_ceiling

SOURCES = ("surface", "markers")

# Second differences below this share of the losses are rounding, of float32 in the network and of the CSV.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Settings:
    """None."""


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the planes of the case; NaN if there is none, or one was not measured."""
    markers = frames["markers"]
    values = [
        concave(grid, loss_ceiling(markers[markers["group"] == group]))
        for group, grid in grids(frames["surface"]).items()
    ]
    return sum(values) / len(values) if values else float("nan")


def concave(grid: Grid, ceiling: float) -> float:
    """Share of negative second differences between points at or below the ceiling; NaN if there are none."""
    f, (dx, dy) = np.where(grid.loss <= ceiling, grid.loss, np.nan), grid.steps
    middle, diagonal = f[1:-1, 1:-1], dx**2 + dy**2
    bends = np.concatenate(
        [
            _bends(f[:-2], f[1:-1], f[2:], dx**2),
            _bends(f[:, :-2], f[:, 1:-1], f[:, 2:], dy**2),
            _bends(f[:-2, :-2], middle, f[2:, 2:], diagonal),
            _bends(f[:-2, 2:], middle, f[2:, :-2], diagonal),
        ]
    )
    if not bends.size:
        return float("nan")
    total = np.abs(bends).sum()
    return float(-bends[bends < 0].sum() / total) if total > 0 else 0.0


def _bends(before: np.ndarray, at: np.ndarray, after: np.ndarray, squared_step: float) -> np.ndarray:
    """Second differences [n] of the neighbours that are all there, per squared distance; rounding is 0."""
    bend = before - 2 * at + after
    sizes = np.abs(before) + 2 * np.abs(at) + np.abs(after)
    bend[np.abs(bend) <= ROUNDING * sizes] = 0
    return bend[np.isfinite(bend)] / squared_step
