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
from fedscape.jobs.streams import stream
from fedscape.tables.comparison import by_seed, ordered_agreement, settings_beside, with_methods
from fedscape.tables.course import ends
from fedscape.tables.estimate import BOOTSTRAP_SEED

SOURCES = ("runs", "rounds")
SEVERAL = True  # runs of one seed make one value
TOGETHER = True

DRAWS = 1000  # of means, for a standard error


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
    taus = [_tau(table.mean(axis=2), settings) for table in _tables(frames, settings)]
    return sum(taus) / len(taus) if taus else float("nan")


def standard_error(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Over seeds, by the parametric bootstrap; NaN for a single seed.

    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 6: how tau varies where the means have
    normal noise of variance s^2 / seeds, s^2 being that of results under a circumstance about what the method
    and the seed add to theirs. (What a seed adds to all methods alike, such as a hard partition, reorders
    none.) Leaving out or resampling seeds would not do: of few, orders are often all the same.
    """
    errors, settings = [], replace(settings, fewest=1)
    for table in _tables(frames, settings):
        means, (_, methods, seeds) = table.mean(axis=2), table.shape
        if methods < 2 or seeds < 2:
            return float("nan")
        rest = table - table.mean(axis=2, keepdims=True) - table.mean(axis=1, keepdims=True)
        rest += table.mean(axis=(1, 2), keepdims=True)
        variances = np.square(rest).sum(axis=(1, 2)) / ((methods - 1) * (seeds - 1))
        drawn = stream(BOOTSTRAP_SEED, "bootstrap").standard_normal((DRAWS, 2, methods))
        noise = np.sqrt(variances / seeds)[:, np.newaxis] * drawn
        errors.append(float(np.nanstd([_tau(means + one, settings) for one in noise], ddof=1)))
    return math.hypot(*errors) / len(errors) if errors else float("nan")


def _tau(means: np.ndarray, settings: Settings) -> float:
    """Of the orders of means [2, methods]."""
    first, second = means
    return ordered_agreement(first, second, settings.tie, settings.fewest)


def _tables(frames: Mapping[str, pd.DataFrame], settings: Settings) -> list[np.ndarray]:
    """Results [2, methods, seeds] under both circumstances, of each data set, model, ...; else none."""
    runs = with_methods(ends(frames, settings.column, settings.rounds))
    beside = settings_beside(runs, settings.between, "method")
    values = by_seed(runs, settings.column, [*beside, settings.between, "method"])
    tables = []
    for _, group in values.groupby(beside) if beside else [(None, values)]:
        under = [rows.droplevel([*beside, settings.between]) for _, rows in group.groupby(settings.between)]
        if len(under) != 2:
            return []
        methods = under[0].index.union(under[1].index)
        tables.append(np.stack([rows.reindex(methods).to_numpy(float) for rows in under]))
    return tables
