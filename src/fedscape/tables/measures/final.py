"""A run's result: a column of `tables/runs.csv`, mean over the runs of the case.

With `rounds: last-fifth` it is the mean over the evaluated rounds of the last fifth, from
`tables/rounds.csv`: the last round of a run that wanders is a matter of luck. How far it wanders, the
standard deviation over these rounds, stands for the standard error of either; that of their mean is no
larger, however they are correlated.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fedscape.fields import Choose, Result, ResultRounds
from fedscape.tables.course import course, ends, last_fifth

SOURCES = ("runs", "rounds")


@dataclass(frozen=True)
class Settings:
    """Which result."""

    column: Result = "train_loss"  # of the global model; `train`: the data of all clients together
    rounds: ResultRounds = "last"  # which of them
    # of a method with a grid, only the point that is best in this, mean over seeds; null: all points count
    choose: Choose = None
    # nats that are added to a loss, so that the ratio of two losses near zero compares levels, not digits
    offset: float | None = None

    def __post_init__(self):
        if self.column == "best_test_accuracy" and self.rounds != "last":
            raise ValueError("rounds must be last with column best_test_accuracy, which is of one round")
        if self.offset is not None and self.offset < 0:
            raise ValueError(f"offset must be at least 0, got {self.offset}")
        if self.offset is not None and not self.column.endswith("_loss"):
            raise ValueError(f"offset is for losses, not for {self.column}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over runs; NaN if one of them was not measured."""
    values = ends(frames, settings.column, settings.rounds)[settings.column]
    return float(values.mean(skipna=False)) + (settings.offset or 0.0)


def standard_error(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Of the mean over runs, from how far each wanders; NaN where a run has fewer than two such rounds."""
    if settings.column == "best_test_accuracy":
        return math.nan
    runs = [course(rows, settings.column) for _, rows in frames["rounds"].groupby("run")]
    deviations = [last_fifth(values).std(ddof=1) for values in runs]
    return math.hypot(*deviations) / len(deviations) if deviations else math.nan
