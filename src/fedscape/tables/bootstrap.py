"""Percentile bootstrap over seeds: how far a mean or a rank would move with other seeds of the same kind.

Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13: seeds are drawn with replacement, and
the interval is that of the statistic's central quantiles. It needs no normal distribution and stays within
the values seen, so with few seeds it is too narrow: n seeds have only binomial(2n - 1, n) different resamples
(3 with two seeds, 10 with three, 126 with five). Draws come from a stream of their own: the same numbers give
the same interval.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap

from fedscape.jobs.streams import stream
from fedscape.tables.ranks import ranks

RESAMPLES = 9999  # as scipy has it; quantiles of 2.5 % then rest on 250 of them
SEED = 0  # no setting: an interval is a function of its values


def mean_interval(values: Sequence[float], confidence: float) -> tuple[float, float] | None:
    """Lower and upper end of the interval for the mean of values, one a seed; None for fewer than two."""
    if len(values) < 2:
        return None
    found = bootstrap(
        (np.asarray(values, dtype=float),), np.mean, confidence_level=confidence, n_resamples=RESAMPLES,
        method="percentile", rng=stream(SEED, "bootstrap"),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


def rank_intervals(values: np.ndarray, best: str, confidence: float) -> np.ndarray | None:
    """Ends [items, 2] of the intervals for the ranks of the means of values [items, seeds].

    Seeds are drawn for all items alike, since items of one seed share data, partition and start. None for
    fewer than two seeds.
    """
    seeds = values.shape[1]
    if seeds < 2:
        return None
    drawn = stream(SEED, "bootstrap").integers(seeds, size=(RESAMPLES, seeds))
    found = ranks(values[:, drawn].mean(axis=2), best)  # [items, resamples]
    tail = 100 * (1 - confidence) / 2
    return np.percentile(found, [tail, 100 - tail], axis=1).T
