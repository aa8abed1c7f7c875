"""Whether methods come in the same order under two circumstances, such as two starts: Kendall's tau.

1: the same order; 0: no relation; -1: the reverse. Noise reorders methods that are as good as each other,
which pulls tau towards 0, so pairs of methods that are within `tie` under either circumstance are left out.
Runs of several data sets, models, ... are compared among their like, and the taus averaged. Of several seeds
(a claim's `seeds: together`) orders are those of means over them, which are less noisy than a seed's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fedscape.fields import Choose, Circumstance, Result, ResultRounds
from fedscape.tables.comparison import by_seed, ordered_agreement, settings_beside, with_methods
from fedscape.tables.course import ends
from fedscape.tables.estimate import NORMAL_HALF_WIDTH, student_half_width

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
    return _agreement(_by_seed(frames, settings), settings)


def standard_error(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Over seeds, by the jackknife; NaN for a single one, and where without one of them no pair is left.

    Tukey's pseudo-values n t - (n - 1) t_j, of all n seeds and of all but j (Efron & Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 11), are taken for independent. A normal interval of the
    standard error that is given is their Student's.
    """
    values, anyhow = _by_seed(frames, settings), replace(settings, fewest=1)
    if (seeds := values.shape[1]) < 2:
        return float("nan")
    without_one = np.array([_agreement(values.drop(columns=seed), anyhow) for seed in values])
    pseudo_values = -(seeds - 1) * without_one  # but for a constant
    return student_half_width(pseudo_values) / NORMAL_HALF_WIDTH


def _by_seed(frames: Mapping[str, pd.DataFrame], settings: Settings) -> pd.DataFrame:
    """The result by data set, model, ..., method and circumstance (rows) and seed (columns)."""
    runs = with_methods(ends(frames, settings.column, settings.rounds))
    keys = [*settings_beside(runs, settings.between, "method"), "method", settings.between]
    return by_seed(runs, settings.column, keys)


def _agreement(values: pd.DataFrame, settings: Settings) -> float:
    """Of means over seeds. values: as `_by_seed` gives them."""
    orders = values.mean(axis=1, skipna=False).unstack(settings.between)  # a row per method
    if orders.shape[1] != 2:
        return float("nan")
    beside = [name for name in orders.index.names if name != "method"]
    groups = orders.groupby(beside) if beside else [(None, orders)]
    taus = []
    for _, order in groups:
        first, second = order.to_numpy(dtype=float).T
        taus.append(ordered_agreement(first, second, settings.tie, settings.fewest))
    return sum(taus) / len(taus) if taus else float("nan")
