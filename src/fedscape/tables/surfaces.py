"""Loss surfaces as arrays, for measures of their shape and for pictures of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SMALLEST_LOSS = 1e-6  # where a loss reaches zero, its logarithm ends here
CEILING = 10.0  # the highest loss that is shown, in losses of the worst model


@dataclass(frozen=True)
class Grid:
    """The loss on a grid."""

    x: np.ndarray  # [nx] coordinates of the columns, in L2 distance of parameters
    y: np.ndarray  # [ny] of the rows
    loss: np.ndarray  # [nx, ny], NaN where it is not finite
    loss_se: np.ndarray  # [nx, ny] its standard errors over samples, NaN where they are not known

    @property
    def steps(self) -> tuple[float, float]:
        """Distance between two columns, and between two rows."""
        return _step(self.x), _step(self.y)


def grids(surface: pd.DataFrame) -> dict[str, Grid]:
    """The surface of all clients together, for each group in rows of surface.csv."""
    rows = surface[surface["client"].isna()]
    return {str(group): _grid(part) for group, part in rows.groupby("group")}


def lattice(surface: pd.DataFrame, column: str = "loss") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x [nx], y [ny] and a column [nx, ny] of one surface: a row per grid point, columns i, j, x, y, ..."""
    x, y = (surface.groupby(index)[axis].first().to_numpy(float) for index, axis in (("i", "x"), ("j", "y")))
    return x, y, surface.pivot(index="i", columns="j", values=column).to_numpy(dtype=float)


def typical_models(markers: pd.DataFrame) -> pd.DataFrame:
    """The models with up to ten times their median loss: one far above would make the rest flat."""
    return markers[markers["loss"] <= CEILING * markers["loss"].median()]


def loss_ceiling(markers: pd.DataFrame) -> float:
    """The loss above which a surface is shown alike: ten times that of the worst model (or a loss of 1).

    Far from all models a loss can be astronomic, and would be all that one sees. markers: column loss.
    """
    losses = markers["loss"].to_numpy(dtype=float)
    return CEILING * np.max(losses[np.isfinite(losses)], initial=1.0)


def _step(axis: np.ndarray) -> float:
    return float(axis[-1] - axis[0]) / (len(axis) - 1)


def _grid(rows: pd.DataFrame) -> Grid:
    x, y, loss = lattice(rows)
    *_, errors = lattice(rows, "loss_se")
    return Grid(x, y, np.where(np.isfinite(loss), loss, np.nan), errors)
