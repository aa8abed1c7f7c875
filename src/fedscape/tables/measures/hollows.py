"""How many hollows a loss surface has: minima that lie deeper below the pass out of them than its noise.

The persistence of a minimum in the surface's merge tree (`tables/merge_tree.py`) is how far the loss must
rise on the way to a lower one. At most `errors` standard errors of that count as noise. A minimum on the
border is none, since the surface may still fall beyond it. Where there is none the hollow is outside the
picture: not measurable. Hollows of a plane say nothing about ways around them through other dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.tables.surface_basins import surface_basins
from fedscape.tables.surfaces import Grid, grids

SOURCES = ("surface",)


@dataclass(frozen=True)
class Settings:
    """What counts as a hollow."""

    errors: float = 2.0  # standard errors of its depth that it must exceed; 0: every local minimum counts
    neighbours: Literal[4, 8] = 8  # of a point: those around it, or the 4 beside it

    def __post_init__(self):
        if not self.errors >= 0:
            raise ValueError(f"errors must be >= 0, got {self.errors}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the planes of the case; NaN if there is none, or one was not measured."""
    values = [hollows(grid, settings) for grid in grids(frames["surface"]).values()]
    return sum(values) / len(values) if values else float("nan")


def hollows(grid: Grid, settings: Settings) -> float:
    """Of one surface; NaN if there is none."""
    basins = surface_basins(grid, settings.errors, settings.neighbours).basins
    return float((~basins["on_border"].astype(bool)).sum()) or float("nan")
