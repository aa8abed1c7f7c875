"""How far a run's global models are from a reference run, the first of its seed on the plane: L2 distance.

Not in the picture but in all dimensions, so the choice of the plane does not matter. A run that goes the same
way and merely lags behind is far from the model of the same round, but does not deviate from the path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

SOURCES = ("markers",)
CLIENTS = False  # planes of whole runs

# Columns of markers.csv by the setting `to`.
_COLUMNS = {
    "path": "distance_to_reference_path",
    "round": "distance_to_reference",
    "end": "distance_to_reference_end",
}


@dataclass(frozen=True)
class Settings:
    """From what, and in which rounds."""

    to: Literal["path", "round", "end"] = (
        "path"  # path: the nearest point of its path; round: its model of the same round; end: its last one
    )
    at: Literal["last", "mean"] = "last"  # the last kept round that has such a distance, or the mean over all


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one has no such distance."""
    markers = frames["markers"]
    models = markers[markers["role"] == "global"].sort_values("round")
    values = [_of_run(run[_COLUMNS[settings.to]].dropna(), settings.at) for _, run in models.groupby("run")]
    return sum(values) / len(values) if values else float("nan")


def _of_run(distances: pd.Series, at: str) -> float:
    if distances.empty:
        return float("nan")
    return float(distances.iloc[-1] if at == "last" else distances.mean())
