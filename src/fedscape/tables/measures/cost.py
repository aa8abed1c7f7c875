"""What a run costs, as `tables/costs.csv` has it. For tables: claims must not change with the clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.tables.costs import run_costs

SOURCES = ("timing",)


@dataclass(frozen=True)
class Settings:
    """Which cost."""

    column: Literal[
        "seconds",
        "evaluation_seconds",
        "median_round_seconds",
        "median_training_seconds",
        "peak_memory_mib",
    ] = "median_training_seconds"  # of one round: all clients and the aggregation, without evaluation


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if one of them was not measured."""
    return float(run_costs(frames["timing"])[settings.column].mean(skipna=False))
