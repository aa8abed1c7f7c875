"""How far a run's global models are from a reference run, the first of its seed on the plane: L2 distance.

Not in the picture but in all dimensions, so the choice of the plane does not matter. A run that goes the same
way and merely lags behind is far from the model of the same round, but does not deviate from the path.
`at: agrees` counts rounds: how many a run goes, from its start, before it is farther off than `threshold`.
"""

import math
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
    # the first kept round after the start, or the last one, that has such a distance; the mean over all; or
    # the last round up to which none is above the threshold
    at: Literal["last", "first", "mean", "agrees"] = "last"
    # whether distances are shares of that between the run's start and the reference's end
    share: bool = False
    threshold: float = 1e-4  # of agrees

    def __post_init__(self):
        if not self.threshold >= 0:
            raise ValueError(f"threshold must be >= 0, got {self.threshold}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one has no such distance."""
    markers = frames["markers"]
    models = markers[markers["role"] == "global"].sort_values("round")
    values = [_of_run(run.set_index("round"), settings) for _, run in models.groupby("run")]
    return sum(values) / len(values) if values else float("nan")


def _of_run(models: pd.DataFrame, settings: Settings) -> float:
    distances = models[_COLUMNS[settings.to]].dropna()
    if distances.empty:
        return math.nan
    if settings.share:
        distances = distances / models[_COLUMNS["end"]].iloc[0]
    match settings.at:
        case "last":
            return float(distances.iloc[-1])
        case "first":
            after = distances[distances.index > models.index[0]]
            return math.nan if after.empty else float(after.iloc[0])
        case "mean":
            return float(distances.mean())
        case "agrees":
            agrees = (distances <= settings.threshold).cummin()
            return float(distances.index[agrees].max()) if agrees.any() else math.nan
