"""Rows of curvature.csv that a measure takes its number from."""

from collections.abc import Mapping

import pandas as pd

_OF = {"global": "global", "clients": "client"}  # a measure's setting -> the column of each model's rows


def mean_over_runs(rows: pd.DataFrame, wanted: Mapping[str, object], of: str, data: str, at: str) -> float:
    """Mean of `value` over runs, of each at one round; NaN if there is no run, or one was not measured.

    rows: of curvature.csv, with `run`. wanted: values of columns such as quantity and index. of: `global`,
    `clients` (the mean over them) or `hessian_agreement` (of what compares them). data: `global` or
    `own`. at: the `last` or the `first` measured round.
    """
    found = []
    for _, run in rows.groupby("run"):
        run = run[(run["of"] == _OF.get(of, "clients")) & (run["data"] == data)]
        run = run[run["round"] == (run["round"].max() if at == "last" else run["round"].min())]
        for column, value in wanted.items():
            run = run[run[column] == value]
        found.append(float(run["value"].mean(skipna=False)))
    return sum(found) / len(found) if found else float("nan")
