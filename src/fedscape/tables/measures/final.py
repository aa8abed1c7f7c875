"""A run's result: a column of `tables/runs.csv`, mean over the runs of the case."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

SOURCES = ("runs",)


@dataclass(frozen=True)
class Settings:
    """Which result."""

    column: Literal[
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "test_loss",
        "test_accuracy",
        "best_test_accuracy",
    ] = "train_loss"  # of the last round's global model; `train`: the data of all clients together
    # of a method with a grid, only the point that is best in this, mean over seeds; null: all points count
    choose: Literal["validation_accuracy", "validation_loss"] | None = None
    # nats that are added to a loss, so that the ratio of two losses near zero compares levels, not digits
    offset: float | None = None

    def __post_init__(self):
        if self.offset is not None and self.offset < 0:
            raise ValueError(f"offset must be at least 0, got {self.offset}")
        if self.offset is not None and not self.column.endswith("_loss"):
            raise ValueError(f"offset is for losses, not for {self.column}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over runs; NaN if one of them was not measured."""
    return float(frames["runs"][settings.column].mean(skipna=False)) + (settings.offset or 0.0)
