"""Runs over their rounds: a column over all, the last fifth or the end, and curvature at one."""

from collections.abc import Mapping

import pandas as pd

LAST_FIFTH = 0.8  # share of the rounds after which it begins
LOWER, HIGHER = 0.9, 2.0  # a loss and an accuracy, as shares of the start's, that show that a run has learned
# A measure's setting -> what stands in the column `of` in the rows of each model.
_OF = {"global": "global", "clients": "client", "mean": "mean"}


def course(rounds: pd.DataFrame, column: str) -> pd.Series:
    """The column's values by round, those that are there; of one run, rows in any order."""
    return rounds.sort_values("round").set_index("round")[column].astype(float).dropna()


def last_fifth(values: pd.Series) -> pd.Series:
    """A course without its first four fifths; its last value at least."""
    return values[values.index > LAST_FIFTH * values.index.max()]


def has_learned(rounds: pd.DataFrame) -> bool:
    """Whether a run learned anything: over its last fifth, a loss a tenth lower or an accuracy twice as high.

    Of the training data, beside its start. Either will do: under drift a loss may stay where guessing has it
    while the answers get better.
    """
    losses, accuracies = (course(rounds, f"train_{measure}") for measure in ("loss", "accuracy"))
    return _last_over_first(losses) <= LOWER or _last_over_first(accuracies) >= HIGHER


def ends(frames: Mapping[str, pd.DataFrame], column: str, rounds: str) -> pd.DataFrame:
    """Rows of runs.csv with the column as it is in the `last` round, or on average over the `last-fifth`.

    frames: `runs`, and for the last fifth their `rounds`, of which the evaluated ones count.
    """
    runs = frames["runs"]
    if rounds == "last":
        return runs
    means = {run: last_fifth(course(rows, column)).mean() for run, rows in frames["rounds"].groupby("run")}
    return runs.assign(**{column: runs["run"].map(means).astype(float)})


def curvature_columns(quantity: str, radius: float | None) -> dict[str, object]:
    """The columns of curvature.csv that tell the largest eigenvalue, the trace or a sharpness from others."""
    if quantity == "eigenvalue":
        return {"quantity": quantity, "index": 1}
    return {"quantity": quantity} if radius is None else {"quantity": quantity, "radius": radius}


def mean_curvature(rows: pd.DataFrame, columns: Mapping[str, object], of: str, data: str, at: str) -> float:
    """Mean curvature of runs, of each at one round; NaN if there is no run, or one was not measured.

    rows: of curvature.csv, with `run`. columns: their values, such as quantity and index. of: `global`,
    `clients` (the mean over them), `mean` (of their models) or `hessian_agreement` (of what compares them).
    data: `global` or `own`. at: the `last` or the `first` measured round.
    """
    values = []
    for _, run in rows.groupby("run"):
        run = run[(run["of"] == _OF.get(of, "clients")) & (run["data"] == data)]
        run = run[run["round"] == (run["round"].max() if at == "last" else run["round"].min())]
        for column, value in columns.items():
            run = run[run[column] == value]
        values.append(float(run["value"].mean(skipna=False)))
    return sum(values) / len(values) if values else float("nan")


def _last_over_first(values: pd.Series) -> float:
    """NaN where the start was not evaluated."""
    if not len(values) or values.index[0] != 0 or not values.iloc[0]:
        return float("nan")
    return float(last_fifth(values).mean() / values.iloc[0])
