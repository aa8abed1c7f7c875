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


def ordered_agreement(one: np.ndarray, other: np.ndarray, tie: float, fewest: int) -> float:
    """Kendall's tau of the pairs that both values [n] of the items order: (concordant - discordant) / all.

    Pairs whose values differ by at most `tie`, in the one or the other, are left out; with `tie` 0 that is
    Goodman and Kruskal's gamma (Measures of Association for Cross Classifications, 1954). NaN if fewer than
    `fewest` pairs are left, or a value is NaN.
    """
    first, second = np.triu_indices(len(one), k=1)
    steps = np.stack([values[first] - values[second] for values in (one, other)])
    signs = np.sign(steps[:, (np.abs(steps) > tie).all(axis=0)]).prod(axis=0)
    return float(signs.mean()) if len(signs) >= fewest and np.isfinite(steps).all() else float("nan")
