"""The course of one run: a column of rounds.csv in the order of its rounds."""

import pandas as pd

LAST_FIFTH = 0.8  # share of the rounds after which it begins
LEARNED = 0.9  # share of the loss at the start below which a run has learned


def course(rounds: pd.DataFrame, column: str) -> pd.Series:
    """The column's values by round, those that are there; of one run, rows in any order."""
    return rounds.sort_values("round").set_index("round")[column].astype(float).dropna()


def last_fifth(values: pd.Series) -> pd.Series:
    """A course without its first four fifths; its last value at least."""
    return values[values.index > LAST_FIFTH * values.index.max()]


def has_learned(losses: pd.Series) -> bool:
    """Whether a run learned anything: its loss over the last fifth is a tenth below that of its start."""
    return (
        bool(len(losses)) and losses.index[0] == 0 and last_fifth(losses).mean() <= LEARNED * losses.iloc[0]
    )
