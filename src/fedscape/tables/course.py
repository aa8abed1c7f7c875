"""The course of one run: a column of rounds.csv in the order of its rounds."""

import pandas as pd


def course(rounds: pd.DataFrame, column: str) -> pd.Series:
    """The column's values by round, those that are there; of one run, rows in any order."""
    return rounds.sort_values("round").set_index("round")[column].astype(float).dropna()
