"""The basins of a loss surface, and which one each model on it lies in."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedscape.tables.merge_tree import Neighbours, merge_tree, noises
from fedscape.tables.surfaces import Grid


@dataclass(frozen=True)
class SurfaceBasins:
    """What lasts of a surface's merge tree.

    basins: a row each, by the loss at its minimum, the lowest first: `basin`, its number from 0; `x`, `y`
    and `loss` of its minimum; `pass_x`, `pass_y` and `pass_loss` of the lowest pass to a lower one, NaN if it
    has none; `persistence`, how far the pass lies above the minimum, infinite without one; `noise`, what of
    that the standard errors explain; `points` of the grid that lie in it; `on_border`, whether its minimum
    does, so that the surface may still fall. owners: int64 [nx, ny], the basin of each point; -1 where the
    loss is not finite.
    """

    basins: pd.DataFrame
    owners: np.ndarray


def surface_basins(grid: Grid, errors: float, neighbours: Neighbours) -> SurfaceBasins:
    """The basins of a surface that are deeper than `errors` standard errors of their depth.

    A basin that is not is a part of the one that it joins. neighbours: see `merge_tree`.
    """
    tree = merge_tree(grid.loss, neighbours)
    noise = noises(tree, grid.loss_se, errors)
    into = tree.lasting(noise)
    lasting = sorted(set(into))
    numbers = np.array([*(lasting.index(basin) for basin in into), -1])  # the last one for points in none
    owners = numbers[tree.owners]
    rows = []
    for number, index in enumerate(lasting):
        basin = tree.basins[index]
        (i, j), (last_i, last_j) = basin.minimum, (size - 1 for size in grid.loss.shape)
        row = {"basin": number, "x": grid.x[i], "y": grid.y[j], "loss": grid.loss[i, j]}
        at = {"pass_x": np.nan, "pass_y": np.nan, "pass_loss": np.nan}
        if basin.saddle is not None:
            k, m = basin.saddle
            at = {"pass_x": grid.x[k], "pass_y": grid.y[m], "pass_loss": grid.loss[k, m]}
        rows.append(
            {
                **row, **at, "persistence": basin.persistence, "noise": noise[index],
                "points": int((owners == number).sum()),
                "on_border": i in (0, last_i) or j in (0, last_j),
            }
        )  # fmt: skip
    return SurfaceBasins(pd.DataFrame(rows, columns=_COLUMNS), owners)


def basin_of(grid: Grid, owners: np.ndarray, markers: pd.DataFrame) -> pd.Series:
    """The basin of the grid point nearest to each marker (columns x, y); -1 beyond the grid, or in none."""
    positions, inside = [], np.ones(len(markers), dtype=bool)
    for axis, name, step in zip((grid.x, grid.y), "xy", grid.steps, strict=True):
        places = markers[name].to_numpy(dtype=float)
        inside &= (places >= axis[0] - step / 2) & (places <= axis[-1] + step / 2)
        positions.append(np.abs(np.nan_to_num(places)[:, None] - axis).argmin(axis=1))
    return pd.Series(np.where(inside, owners[tuple(positions)], -1), index=markers.index, name="basin")


_COLUMNS = [
    "basin", "x", "y", "loss", "pass_x", "pass_y", "pass_loss", "persistence", "noise", "points", "on_border",
]  # fmt: skip
