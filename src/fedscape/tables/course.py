"""The course of one run: a column of rounds.csv in the order of its rounds."""

import pandas as pd

LAST_FIFTH = 0.8  # share of the rounds after which it begins
LOWER, HIGHER = 0.9, 2.0  # a loss and an accuracy, as shares of the start's, that show that a run has learned


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
    losses, accuracies = (course(rounds, f"train_{one}") for one in ("loss", "accuracy"))
    return _last_over_first(losses) <= LOWER or _last_over_first(accuracies) >= HIGHER


def _last_over_first(values: pd.Series) -> float:
    """NaN where the start was not evaluated."""
    if not len(values) or values.index[0] != 0 or not values.iloc[0]:
        return float("nan")
    return float(last_fifth(values).mean() / values.iloc[0])
