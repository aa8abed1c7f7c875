"""How far a run departs from a reference run, the first of its seed on the plane, after the same round.

The L2 distance between the two models, in all dimensions, as a share of that between the run's first model
and the reference's last one; or the number of the last round up to which it stays within a threshold: for
two systems that are meant to do the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

SOURCES = ("markers",)
CLIENTS = False  # planes of whole runs


@dataclass(frozen=True)
class Settings:
    """When, and what counts as the same."""

    # the first kept round after the start, the last one, or the last before one above the threshold
    at: Literal["first", "last", "agrees"] = "last"
    threshold: float = 1e-4  # of agrees: a share

    def __post_init__(self):
        if not self.threshold >= 0:
            raise ValueError(f"threshold must be >= 0, got {self.threshold}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one has no such round."""
    markers = frames["markers"]
    models = markers[markers["role"] == "global"].sort_values("round")
    values = [_of_run(run.set_index("round"), settings) for _, run in models.groupby("run")]
    return sum(values) / len(values) if values else math.nan


def _of_run(models: pd.DataFrame, settings: Settings) -> float:
    shares = models["distance_to_reference"].dropna() / models["distance_to_reference_end"].iloc[0]
    if settings.at == "agrees":
        agrees = (shares <= settings.threshold).cummin()
        return float(shares.index[agrees].max()) if agrees.any() else math.nan
    if settings.at == "first":
        shares = shares[shares.index > models.index[0]]
    if shares.empty:
        return math.nan
    return float(shares.iloc[0 if settings.at == "first" else -1])
