"""The course of one run: a column of rounds.csv in the order of its rounds."""

import pandas as pd

LAST_FIFTH = 0.8  # share of the rounds after which it begins


def course(rounds: pd.DataFrame, column: str) -> pd.Series:
    """The column's values by round, those that are there; of one run, rows in any order."""
    return rounds.sort_values("round").set_index("round")[column].astype(float).dropna()


def last_fifth(values: pd.Series) -> pd.Series:
    """A course without its first four fifths; its last value at least."""
    return values[values.index > LAST_FIFTH * values.index.max()]
