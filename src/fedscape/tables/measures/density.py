"""How dense the contours of the loss lie where the models are: mean length of its gradient there.

The number of contours per unit of L2 distance, for a step of one in the loss, within the box that just holds
the markers. It grows both with how steep the loss is around the models and with how far the clients go, up
where it is steeper: what the paper reads from dense contours, that local models "quickly move away from the
minima of the global loss", is both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedscape.tables.surfaces import Grid, grids

SOURCES = ("surface", "markers")
CLIENTS = True  # where they go in one round


@dataclass(frozen=True)
class Settings:
    """Contours of what."""

    log: bool = False  # of the log loss, as pictures draw them, in place of the loss


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the planes of the case; NaN if there is none, or one was not measured."""
    markers = frames["markers"]
    values = []
    for group, grid in grids(frames["surface"]).items():
        x, y = (markers.loc[markers["group"] == group, axis].dropna().to_numpy() for axis in "xy")
        values.append(density(grid, x, y, settings.log))
    return sum(values) / len(values) if values else float("nan")


def density(grid: Grid, x: np.ndarray, y: np.ndarray, log: bool = False) -> float:
    """Mean |gradient of the (log) loss| over the cells that the bounding box of points (x, y) touches."""
    f, (dx, dy) = grid.loss, grid.steps
    if log:
        f = np.log(np.where(f > 0, f, np.nan))
    # The gradient in the middle of a cell, from its four corners.
    along_x = np.diff(f, axis=0)
    along_y = np.diff(f, axis=1)
    length = np.hypot((along_x[:, :-1] + along_x[:, 1:]) / (2 * dx), (along_y[:-1] + along_y[1:]) / (2 * dy))
    within_x = (grid.x[1:] >= x.min()) & (grid.x[:-1] <= x.max())
    within_y = (grid.y[1:] >= y.min()) & (grid.y[:-1] <= y.max())
    inside = length[np.ix_(within_x, within_y)]
    inside = inside[np.isfinite(inside)]
    return float(inside.mean()) if inside.size else float("nan")
