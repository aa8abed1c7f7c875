"""Whether methods come in the same order under two circumstances, such as two starts: Kendall's tau.

1: the same order; 0: no relation; -1: the reverse. With ties it is tau-b (Kendall, The Treatment of Ties in
Ranking Problems, 1945). Runs of several data sets, models, ... are compared among their like, and the taus
averaged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.tables.ranks import agreement
from fedscape.tables.seeds import by_seed, settings_beside, with_methods

SOURCES = ("runs",)
SEVERAL = True  # runs of one seed make one value


@dataclass(frozen=True)
class Settings:
    """Between what, and ranked by which result."""

    between: Literal["dataset", "model", "partition", "init"] = "init"  # has two values in the case
    column: Literal[
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "test_loss",
        "test_accuracy",
        "best_test_accuracy",
    ] = "test_accuracy"  # of the last round's global model, mean over seeds
    # of a method with a grid, only the point that is best in this, mean over seeds; null: all points count
    choose: Literal["validation_accuracy", "validation_loss"] | None = None


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean of the taus; NaN if a run was not measured, or there are not two orders to compare."""
    runs = with_methods(frames["runs"])
    beside = settings_beside(runs, settings.between, "method")
    keys = [*beside, "method", settings.between]
    means = by_seed(runs, settings.column, keys).mean(axis=1, skipna=False)
    orders = means.unstack(settings.between)  # a row per method, a column per circumstance
    if orders.shape[1] != 2:
        return float("nan")
    groups = orders.groupby(beside) if beside else [(None, orders)]
    found = [agreement(one.iloc[:, 0].to_numpy(), one.iloc[:, 1].to_numpy()) for _, one in groups]
    return sum(found) / len(found) if found else float("nan")
