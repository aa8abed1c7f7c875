"""How far the results of runs lie apart that differ in one thing: the highest mean minus the lowest one.

Between two partitions, with `minus`, it is the gap from IID to non-IID data; over methods, the spread between
algorithms. Runs that differ in more than that (and their seed) are compared among their like, and the spreads
averaged.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fedscape.fields import Choose, Result, ResultRounds, RunKey
from fedscape.tables.comparison import by_seed, settings_beside, with_methods
from fedscape.tables.course import ends

SOURCES = ("runs", "rounds")
SEVERAL = True  # runs of one seed make one value


@dataclass(frozen=True)
class Settings:
    """Of which result, across what (a table has an `over` of its own)."""

    across: RunKey  # what the compared runs differ in
    column: Result = "test_accuracy"  # of the global model; of several seeds the mean
    rounds: ResultRounds = "last"  # which of them; of the last fifth the mean
    # of a method with a grid, only the point that is best in this, mean over seeds; null: all points count
    choose: Choose = None
    minus: str | None = None  # of two, the one whose mean is subtracted from the other's, whichever is higher

    def __post_init__(self):
        if self.column == "best_test_accuracy" and self.rounds != "last":
            raise ValueError("rounds must be last with column best_test_accuracy, which is of one round")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean of the spreads; NaN if a run was not measured, or has none to be compared with."""
    runs = with_methods(ends(frames, settings.column, settings.rounds))
    beside = settings_beside(runs, settings.across)
    means = by_seed(runs, settings.column, [*beside, settings.across]).mean(axis=1, skipna=False)
    groups = means.groupby(beside) if beside else means.groupby(lambda _: 0)
    alone = (groups.size() < 2).any()
    if settings.minus is None:
        spreads = groups.agg(lambda of_group: of_group.max(skipna=False) - of_group.min(skipna=False))
    else:
        spreads = groups.agg(lambda of_group: _gap(of_group, settings))
    return float("nan") if alone else float(spreads.mean(skipna=False))


def _gap(means: pd.Series, settings: Settings) -> float:
    """The other mean minus the one that is named; NaN if there are not these two."""
    subtracted = means.index.get_level_values(settings.across) == settings.minus
    if len(means) != 2 or subtracted.sum() != 1:
        return float("nan")
    return means[~subtracted].item() - means[subtracted].item()
