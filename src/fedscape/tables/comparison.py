"""Runs and methods beside each other: the best point of a grid, values by seed, orders and their agreement.

Settings are tried out on held-out samples, and one of them is reported. A method with a `grid` stands in
every table with all its points, `name.g1`, `name.g2`, ...; only what is measured on them may choose. One
point is chosen for all seeds together, so that an interval over seeds is one of a method and not of its luck;
and for each data set, model, partition and start by itself, as one would tune them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from fedscape.columns.identity import NAMES

POINT = r"\.g(\d+)$"  # how the name of a point ends; study/methods.py gives these names, and no other has one


def method_of(methods: pd.Series) -> pd.Series:
    """The names of methods without a point's ending."""
    return methods.astype("string").str.replace(POINT, "", regex=True)


def best_grid_points(runs: pd.DataFrame, column: str, within: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of runs that stay: all that are of no grid, and those of the best point of each.

    runs: a row per run, columns of IDENTITY, `diverged` and `column`, a loss (the lowest is best) or an
    accuracy; the mean over seeds counts. A point of which a seed diverged or has no value is chosen only if
    no other is left; of points alike the first. within: further columns, such as a swept setting, for each
    of whose values the choice is made anew.
    """
    numbers = _point_numbers(runs["method"])
    points = numbers > 0
    if not points.any():
        return runs
    settings = [*(name for name in NAMES if name != "method" and name in runs), *within]
    table = runs.assign(base=method_of(runs["method"]))
    sound = ~table["diverged"].astype("string").str.lower().eq("true") & table[column].notna()
    sign = -1 if column.endswith("loss") else 1
    table = table.assign(score=sign * table[column].astype(float).where(sound), point=numbers)
    means = (
        table[points]
        .groupby([*settings, "base", "point"], dropna=False)["score"]
        .agg(lambda seeds: seeds.mean(skipna=False))
        .fillna(float("-inf"))
        .reset_index()
        .sort_values(["score", "point"], ascending=[False, True], kind="stable")
        .drop_duplicates([*settings, "base"])
    )
    keys = [*settings, "base", "point"]
    best = pd.MultiIndex.from_frame(means[keys].astype(str))
    stays = pd.MultiIndex.from_frame(table[keys].astype(str)).isin(best)
    return runs[~points | stays]


def settings_beside(runs: pd.DataFrame, *columns: str) -> list[str]:
    """The identifying columns, without the seed, that are none of these."""
    return [name for name in NAMES if name in runs and name not in columns]


def with_methods(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows with points of one grid under one name; choose between them before."""
    return runs.assign(method=method_of(runs["method"]))


def by_seed(runs: pd.DataFrame, column: str, keys: Sequence[str]) -> pd.DataFrame:
    """Mean of the column by keys (rows) and seed (columns); NaN if a run has no value."""
    values = runs.assign(value=runs[column].astype(float))
    means = values.groupby([*keys, "seed"], sort=False)["value"].agg(lambda of_run: of_run.mean(skipna=False))
    return means.unstack("seed")


def best_of(column: str) -> str:
    """Which end of a column's values is best: `lowest` of a loss, `highest` of anything else."""
    return "lowest" if column.endswith("loss") else "highest"


def ranks(values: np.ndarray, best: str) -> np.ndarray:
    """Ranks along the first axis, 1 for the `highest` or the `lowest`; equals share the mean of theirs."""
    return rankdata(-values if best == "highest" else values, axis=0)


def ordered_agreement(left: np.ndarray, right: np.ndarray, tie: float, fewest: int) -> float:
    """Kendall's tau of the pairs that both values [n] of the items order: (concordant - discordant) / all.

    Pairs whose values differ by at most `tie`, in the one or the other, are left out; with `tie` 0 that is
    Goodman and Kruskal's gamma (Measures of Association for Cross Classifications, 1954). NaN if fewer than
    `fewest` pairs are left, or a value is NaN.
    """
    first, second = np.triu_indices(len(left), k=1)
    steps = np.stack([values[first] - values[second] for values in (left, right)])
    signs = np.sign(steps[:, (np.abs(steps) > tie).all(axis=0)]).prod(axis=0)
    return float(signs.mean()) if len(signs) >= fewest and np.isfinite(steps).all() else float("nan")


def _point_numbers(methods: pd.Series) -> pd.Series:
    """The number of each point in its grid, from 1; 0 for a method without one."""
    return methods.astype("string").str.extract(POINT, expand=False).fillna("0").astype(int)
