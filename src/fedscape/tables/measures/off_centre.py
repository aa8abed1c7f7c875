"""How far a round's model is from the bottom of its basin: L2 distance on the plane to its lowest point.

That point is looked for downhill from the aggregate and finer than any grid. Where the loss keeps falling
there is none: not measurable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

SOURCES = ("markers",)
CLIENTS = True  # start and aggregate are marked on no other plane


@dataclass(frozen=True)
class Settings:
    """Whose distance."""

    role: Literal["aggregate", "start"] = "aggregate"  # the global model after the round, or before it


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the models of this role, one on each plane of the case; NaN if one has none, or no bottom."""
    marked = _marked(frames, settings)
    distances = np.hypot(marked["x"] - marked["bottom_x"], marked["y"] - marked["bottom_y"])
    return float(pd.Series(distances).mean(skipna=False))


def standard_error(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """How well the bottom's place is known: how far apart its last two estimates lie."""
    return float(_marked(frames, settings)["bottom_shift"].mean(skipna=False))


def _marked(frames: Mapping[str, pd.DataFrame], settings: Settings) -> pd.DataFrame:
    """The model of the role on each plane, with NaN for a plane without one."""
    markers = frames["markers"]
    of_role = markers[markers["role"] == settings.role].drop_duplicates("group").set_index("group")
    return of_role.reindex(markers["group"].unique())
