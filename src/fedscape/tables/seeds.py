"""Values by seed, from a row per run: what spreads, ranks and figures of final results begin with."""

from collections.abc import Sequence

import pandas as pd

from fedscape.columns.shared import NAMES
from fedscape.tables.choice import method_of


def settings_beside(runs: pd.DataFrame, *columns: str) -> list[str]:
    """The identifying columns, without the seed, that are none of these."""
    return [name for name in NAMES if name in runs and name not in columns]


def with_methods(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows with points of one grid under one name; choose between them before."""
    return runs.assign(method=method_of(runs["method"]))


def by_seed(runs: pd.DataFrame, column: str, keys: Sequence[str]) -> pd.DataFrame:
    """Mean of the column by keys (rows) and seed (columns); NaN if a run has no value."""
    values = runs.assign(value=runs[column].astype(float))
    means = values.groupby([*keys, "seed"], sort=False)["value"].agg(lambda one: one.mean(skipna=False))
    return means.unstack("seed")
