"""Barriers of layers as a grid, layers by rounds, each cell a mean over pairs: what a heat map shows.

Claims are measured on the same cells, so that a verdict can be seen in the figure, but for one thing: figures
draw means of barriers of the loss below 0.0001 nats as 0, claims take them as they are.
"""

from collections.abc import Sequence

import pandas as pd

from fedscape.columns.connectivity import RESTS

# Regimes that average one layer at a time; the others add one after the other.
SINGLE = ("single", "direction")


def of_rests(rows: pd.DataFrame, rests: Sequence[str] = RESTS) -> pd.DataFrame:
    """The rows whose other layers come from these ends ("from", "to"), which stands in `rest`.

    rows: of layers.csv. A mixture with nothing left to come from an end has the rest "both" and counts for
    each.
    """
    parts = [rows[rows["rest"].isin([rest, "both"])].assign(rest=rest) for rest in rests]
    return pd.concat(parts, ignore_index=True)


def later_round(rows: pd.DataFrame) -> pd.Series:
    """The round of both models; of two models of different rounds, the later one."""
    return rows[["round", "to_round"]].max(axis=1)


def at_last_rounds(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last round that each pair of runs has, whose rounds then count as one.

    rows: with `at`, of `later_round`; it is -1 in all rows returned.
    """
    last = rows.groupby(["run", "to_run"])["at"].transform("max")
    return rows[rows["at"] == last].assign(at=-1)


def cells(rows: pd.DataFrame, keys: Sequence[str], column: str) -> pd.DataFrame:
    """One row for each combination of `keys`: mean, min and max of the column over all other rows.

    Each has a value only where all pairs have one: once a pair has diverged, the mean of the others would
    flatter.
    """
    if rows.empty:
        return pd.DataFrame(columns=[*keys, "mean", "min", "max"])
    groups = rows.groupby(list(keys))[column]
    table = pd.DataFrame(
        {statistic: groups.agg(statistic, skipna=False) for statistic in ("mean", "min", "max")}
    )
    counts = groups.size()
    return table.where(counts == counts.max()).reset_index()
