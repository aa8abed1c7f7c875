"""Where runs end: in their last round, or, if they wander between rounds, on average over the last fifth."""

from collections.abc import Mapping

import pandas as pd

from fedscape.tables.course import course, last_fifth


def ends(frames: Mapping[str, pd.DataFrame], column: str, rounds: str) -> pd.DataFrame:
    """Rows of runs.csv with the column as it is in the `last` round, or on average over the `last-fifth`.

    frames: `runs`, and for the last fifth their `rounds`, of which the evaluated ones count.
    """
    runs = frames["runs"]
    if rounds == "last":
        return runs
    means = {run: last_fifth(course(rows, column)).mean() for run, rows in frames["rounds"].groupby("run")}
    return runs.assign(**{column: runs["run"].map(means).astype(float)})
