"""What a run looks like on its way: a column of `tables/rounds.csv` over some of its rounds, mean over runs.

Round 0, the start, is not among them: its model has not been trained, and no client has taken part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.fields import Choose
from fedscape.tables.course import course

SOURCES = ("rounds",)


@dataclass(frozen=True)
class Settings:
    """Which column, and over which rounds."""

    column: Literal[
        "client_loss",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "test_loss",
        "test_accuracy",
        "mean_update_norm",
        "gradient_diversity",
        "inverse_gradient_diversity",
        "mean_cosine",
        "minimum_cosine",
    ]
    statistic: Literal["mean", "min", "max"] = "mean"  # over the rounds that have a value
    since: int | float = 1  # first round that counts: a number, or a share of all rounds of the run
    until: int | float = 1.0  # last round that counts, likewise
    # of a method with a grid, only the point that is best in this, mean over seeds; null: all points count
    choose: Choose = None

    def __post_init__(self):
        for name, number in (("since", self.since), ("until", self.until)):
            if number <= 0 or (isinstance(number, float) and number > 1):
                raise ValueError(f"{name} must be a round >= 1 or a share in (0, 1], got {number}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one has no value in these rounds."""
    values = [_of_run(run, settings) for _, run in frames["rounds"].groupby("run")]
    return sum(values) / len(values) if values else float("nan")


def _of_run(rounds: pd.DataFrame, settings: Settings) -> float:
    values = course(rounds, settings.column)
    first, last = (
        max(1, round(number * rounds["round"].max())) if isinstance(number, float) else number
        for number in (settings.since, settings.until)
    )
    return float(values[values.index.to_series().between(first, last)].agg(settings.statistic))
