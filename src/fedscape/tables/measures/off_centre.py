"""How far a round's model is from the bottom of its basin: L2 distance on the plane to the lowest point.

Where the lowest point of the grid lies on its border, the bottom is outside the picture: not measurable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from fedscape.tables.surfaces import Grid, grids

SOURCES = ("surface", "markers")
CLIENTS = True  # start and aggregate are marked on no other plane


@dataclass(frozen=True)
class Settings:
    """Whose distance."""

    role: Literal["aggregate", "start"] = "aggregate"  # the global model after the round, or before it


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the models of this role, one on each plane of the case; NaN if one has none, or no bottom."""
    markers = frames["markers"]
    marked = markers[markers["role"] == settings.role].set_index("group")
    found = []
    for group, grid in grids(frames["surface"]).items():
        if group not in marked.index:
            return float("nan")
        x, y = lowest(grid)
        one = marked.loc[[group]].iloc[0]
        found.append(float(np.hypot(one["x"] - x, one["y"] - y)))
    return sum(found) / len(found) if found else float("nan")


def lowest(grid: Grid) -> tuple[float, float]:
    """Where the loss is lowest, finer than the grid: the bottom of a parabola through 3 x 3 points.

    Exact for a quadratic bowl. Beside a point that is not finite, or where the parabola has no bottom within
    a step, it is the lowest point itself. NaN, NaN if that is on the border, or nothing is finite.
    """
    f = grid.loss
    if not np.isfinite(f).any():
        return float("nan"), float("nan")
    i, j = np.unravel_index(np.nanargmin(f), f.shape)
    if i in (0, f.shape[0] - 1) or j in (0, f.shape[1] - 1):
        return float("nan"), float("nan")
    x, y, (dx, dy) = grid.x[i], grid.y[j], grid.steps
    around = f[i - 1 : i + 2, j - 1 : j + 2]
    if np.isfinite(around).all():
        u, v = (steps.ravel() for steps in np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"))
        terms = np.stack([np.ones(9), u, v, u * u, u * v, v * v], axis=1)
        _, bu, bv, uu, uv, vv = np.linalg.lstsq(terms, around.ravel(), rcond=None)[0]
        hessian = np.array([[2 * uu, uv], [uv, 2 * vv]])
        if np.linalg.eigvalsh(hessian)[0] > 0:
            shift = np.linalg.solve(hessian, [-bu, -bv])
            if np.abs(shift).max() <= 1:
                x, y = x + shift[0] * dx, y + shift[1] * dy
    return float(x), float(y)
