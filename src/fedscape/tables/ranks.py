"""Orders of methods, and how far two of them agree."""

import numpy as np
from scipy.stats import kendalltau, rankdata


def best_of(column: str) -> str:
    """Which end of a column's values is best: `lowest` of a loss, `highest` of anything else."""
    return "lowest" if column.endswith("loss") else "highest"


def ranks(values: np.ndarray, best: str) -> np.ndarray:
    """Ranks along the first axis, 1 for the `highest` or the `lowest`; equals share the mean of theirs."""
    return rankdata(-values if best == "highest" else values, axis=0)


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Kendall's tau-b between two values [n] of each item; NaN for fewer than two, or if all are equal."""
    return float(kendalltau(one, other).statistic) if len(one) > 1 else float("nan")
