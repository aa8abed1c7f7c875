"""Whether methods come in the same order under two circumstances, such as two starts: Kendall's tau.

1: the same order; 0: no relation; -1: the reverse. Noise reorders methods that are as good as each other,
which pulls tau towards 0, so pairs of methods that are within `tie` under either circumstance are left out.
Runs of several data sets, models, ... are compared among their like, and the taus averaged.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fedscape.fields import Choose, Circumstance, Result, ResultRounds
from fedscape.tables.comparison import by_seed, ordered_agreement, settings_beside, with_methods
from fedscape.tables.course import ends

SOURCES = ("runs", "rounds")
SEVERAL = True  # runs of one seed make one value


@dataclass(frozen=True)
class Settings:
    """Between what, and ranked by which result."""

    between: Circumstance = "init"  # has two values in the case
    column: Result = "test_accuracy"  # of the global model; of several seeds the mean
    rounds: ResultRounds = "last"  # which of them; of the last fifth the mean
    # of a method with a grid, only the point that is best in this, mean over seeds; null: all points count
    choose: Choose = None
    tie: float = 0.0  # pairs of methods this close or closer, under either circumstance, are left out
    fewest: int = 1  # pairs that must be left; 10 are those of five methods

    def __post_init__(self):
        if self.column == "best_test_accuracy" and self.rounds != "last":
            raise ValueError("rounds must be last with column best_test_accuracy, which is of one round")
        if not 0 <= self.tie < math.inf:
            raise ValueError(f"tie must be >= 0 and finite, got {self.tie}")
        if self.fewest < 1:
            raise ValueError(f"fewest must be >= 1, got {self.fewest}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean of the taus; NaN if a run was not measured, there are not two orders, or too few pairs."""
    runs = with_methods(ends(frames, settings.column, settings.rounds))
    beside = settings_beside(runs, settings.between, "method")
    keys = [*beside, "method", settings.between]
    means = by_seed(runs, settings.column, keys).mean(axis=1, skipna=False)
    orders = means.unstack(settings.between)  # a row per method, a column per circumstance
    if orders.shape[1] != 2:
        return float("nan")
    groups = orders.groupby(beside) if beside else [(None, orders)]
    taus = []
    for _, order in groups:
        first, second = order.to_numpy(dtype=float).T
        taus.append(ordered_agreement(first, second, settings.tie, settings.fewest))
    return sum(taus) / len(taus) if taus else float("nan")
