"""The best point of each grid: settings are tried out on held-out samples, and one of them is reported.

A method with a `grid` stands in every table with all its points, `name.g1`, `name.g2`, ...; only what is
measured on them may choose. One point is chosen for all seeds together, so that an interval over seeds is one
of a method and not of its luck; and for each data set, model, partition and start by itself, as one would
tune them.
"""

from collections.abc import Sequence

import pandas as pd

from fedscape.columns.shared import NAMES

POINT = r"\.g\d+$"  # how the name of a point ends; study/methods.py gives these names, and no other has one


def method_of(methods: pd.Series) -> pd.Series:
    """The names of methods without a point's ending."""
    return methods.astype("string").str.replace(POINT, "", regex=True)


def chosen(runs: pd.DataFrame, column: str, within: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of runs that stay: all that are of no grid, and those of the best point of each.

    runs: a row per run, columns of IDENTITY, `diverged` and `column`, a loss (the lowest is best) or an
    accuracy; the mean over seeds counts. A point of which a seed diverged or has no value is chosen only if
    no other is left; of points alike the first. within: further columns, such as a swept setting, for each
    of whose values the choice is made anew.
    """
    points = runs["method"].astype("string").str.contains(POINT, regex=True)
    if not points.any():
        return runs
    settings = [*(name for name in NAMES if name != "method" and name in runs), *within]
    table = runs.assign(base=method_of(runs["method"]))
    sound = ~table["diverged"].astype("string").str.lower().eq("true") & table[column].notna()
    sign = -1 if column.endswith("loss") else 1
    table = table.assign(score=sign * table[column].astype(float).where(sound), place=_places(runs["method"]))
    means = (
        table[points]
        .groupby([*settings, "base", "place"], dropna=False)["score"]
        .agg(lambda seeds: seeds.mean(skipna=False))
        .fillna(float("-inf"))
        .reset_index()
        .sort_values(["score", "place"], ascending=[False, True], kind="stable")
        .drop_duplicates([*settings, "base"])
    )
    keys = [*settings, "base", "place"]
    best = pd.MultiIndex.from_frame(means[keys].astype(str))
    stays = pd.MultiIndex.from_frame(table[keys].astype(str)).isin(best)
    return runs[~points | stays]


def _places(methods: pd.Series) -> pd.Series:
    """The number of each point in its grid; 0 for a method without one."""
    return methods.astype("string").str.extract(r"\.g(\d+)$", expand=False).fillna("0").astype(int)
