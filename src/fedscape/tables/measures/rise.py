"""How far a run is thrown back: the largest rise of its loss from one evaluated round to the next.

Mean over runs; of the global model, in nats, and 0 where the loss never rises.
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
    """Which loss."""

    column: Literal["train_loss", "validation_loss", "test_loss"] = (
        "train_loss"  # train: of all clients' data
    )
    # of a method with a grid, only the point that is best in this, mean over seeds; null: all points count
    choose: Choose = None


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one has fewer than two evaluated rounds."""
    values = [_of_run(run, settings.column) for _, run in frames["rounds"].groupby("run")]
    return sum(values) / len(values) if values else float("nan")


def _of_run(rounds: pd.DataFrame, column: str) -> float:
    rises = course(rounds, column).diff().dropna()
    return max(0.0, float(rises.max())) if len(rises) else float("nan")
