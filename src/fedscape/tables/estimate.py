"""What a cell of a table holds: a mean over seeds, or a place among the rows, each with its interval.

`bootstrap`: how far a mean or a rank would move with other seeds of the same kind, by percentiles. Efron &
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13: seeds are drawn with replacement, and the
interval is that of the statistic's central quantiles. It needs no normal distribution and stays within the
values seen, so with few seeds it is too narrow: n seeds have only binomial(2n - 1, n) different resamples
(3 with two seeds, 10 with three, 126 with five). Draws come from a stream of their own: the same numbers give
the same interval.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import bootstrap

from fedscape.jobs.streams import stream
from fedscape.tables.cases import DIVERGED, NOT_MEASURED, NOT_RUN_HERE
from fedscape.tables.comparison import ranks

CONFIDENCE = 0.95
NORMAL_HALF_WIDTH = float(ndtri((1 + CONFIDENCE) / 2))  # of an interval of a normal value, in standard errors
STUDENT, BOOTSTRAP = "student", "bootstrap"
RESAMPLES = 9999  # as scipy has it; quantiles of 2.5 % then rest on 250 of them
BOOTSTRAP_SEED = 0  # no setting: an interval is a function of its values


@dataclass(frozen=True)
class Estimate:
    """A number of ours with its interval, or the word why there is none."""

    mean: float | None = None  # over the seeds that have a value; or the rank of it
    low: float | None = None  # ends of the interval; None for fewer than two seeds
    high: float | None = None
    interval: str = ""  # how it was made; empty where there is none
    seeds: int = 0  # that have a value
    diverged: int = 0  # seeds whose run diverged
    note: str = ""  # why there is no mean; empty where there is one

    @property
    def half_width(self) -> float | None:
        """Of an interval that is symmetric about the mean; None for others."""
        if self.interval != STUDENT or self.mean is None or self.high is None:
            return None
        return self.high - self.mean


def estimate(values: Mapping[int, float | str], interval: str = STUDENT, factor: float = 1) -> Estimate:
    """Mean over seeds with its 95 % interval.

    values: of each seed, a number or a word that says why there is none. factor: that means are shown in.
    interval: `student`: mean -+ t_{n-1} s / sqrt(n), Student's distribution; `bootstrap`: percentiles over
    resampled seeds.
    """
    numbers = factor * np.array([value for value in values.values() if not isinstance(value, str)])
    n, diverged = len(numbers), list(values.values()).count(DIVERGED)
    if not n:
        return Estimate(diverged=diverged, note=_why_none(values))
    mean = float(numbers.mean())
    if interval == BOOTSTRAP:
        ends = mean_interval(numbers, CONFIDENCE)
    else:
        half_width = student_half_width(numbers) if n > 1 else None
        ends = None if half_width is None else (mean - half_width, mean + half_width)
    if ends is None:
        return Estimate(mean, seeds=n, diverged=diverged)
    low, high = ends
    return Estimate(mean, low, high, interval, n, diverged)


def student_half_width(values: np.ndarray) -> float:
    """Half of the 95 % interval for the mean of values, one a seed, two or more: t_{n-1} s / sqrt(n)."""
    n = len(values)
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / math.sqrt(n))


def comparable_means(rows: Sequence[Mapping[int, float | str]]) -> list[float | None]:
    """Means of rows over the seeds with which all that have a number have one; None for one without.

    So each seed compares all of them. rows: of each, the values by seed as for `estimate`.
    """
    having, table = _compared(rows)
    means = iter(table.mean(axis=1).tolist() if table.size else ())
    return [next(means, None) if has else None for has in having]


def ranked(rows: Sequence[Mapping[int, float | str]], best: str) -> list[Estimate]:
    """The rank of each row by its mean, 1 for the `highest` or the `lowest`, with bootstrap intervals.

    rows: of each, the values by seed as for `estimate`. Means are the `comparable_means`; intervals are of
    the same seeds.
    """
    having, table = _compared(rows)
    places = iter(ranks(table.mean(axis=1), best) if table.size else ())
    ends = rank_intervals(table, best, CONFIDENCE) if table.size else None
    intervals = iter(ends if ends is not None else ())
    estimates = []
    for row, has in zip(rows, having, strict=True):
        diverged = list(row.values()).count(DIVERGED)
        if not has or not table.size:
            estimates.append(Estimate(diverged=diverged, note=NOT_MEASURED if has else _why_none(row)))
            continue
        low, high = map(float, next(intervals)) if ends is not None else (None, None)
        how = BOOTSTRAP if ends is not None else ""
        estimates.append(Estimate(float(next(places)), low, high, how, table.shape[1], diverged))
    return estimates


def _compared(rows: Sequence[Mapping[int, float | str]]) -> tuple[list[bool], np.ndarray]:
    """Which rows have a number, and those [having, seeds] of the seeds that all of them have."""
    numbers = [{seed: value for seed, value in row.items() if not isinstance(value, str)} for row in rows]
    having = [row for row in numbers if row]
    seeds = sorted(set.intersection(*map(set, having))) if having else []
    return [bool(row) for row in numbers], np.array([[row[seed] for seed in seeds] for row in having])


def mean_interval(values: Sequence[float] | np.ndarray, confidence: float) -> tuple[float, float] | None:
    """Lower and upper end of the interval for the mean of values, one a seed; None for fewer than two."""
    if len(values) < 2:
        return None
    interval = bootstrap(
        (np.asarray(values, dtype=float),), np.mean, confidence_level=confidence, n_resamples=RESAMPLES,
        method="percentile", rng=stream(BOOTSTRAP_SEED, "bootstrap"),
    ).confidence_interval  # fmt: skip
    return float(interval.low), float(interval.high)


def rank_intervals(values: np.ndarray, best: str, confidence: float) -> np.ndarray | None:
    """Ends [items, 2] of the intervals for the ranks of the means of values [items, seeds].

    Seeds are drawn for all items alike, since items of one seed share data, partition and start. None for
    fewer than two seeds.
    """
    seeds = values.shape[1]
    if seeds < 2:
        return None
    drawn = stream(BOOTSTRAP_SEED, "bootstrap").integers(seeds, size=(RESAMPLES, seeds))
    drawn_ranks = ranks(values[:, drawn].mean(axis=2), best)  # [items, resamples]
    tail = 100 * (1 - confidence) / 2
    return np.percentile(drawn_ranks, [tail, 100 - tail], axis=1).T


def _why_none(values: Mapping[int, float | str]) -> str:
    if not values:
        return NOT_RUN_HERE
    return DIVERGED if list(values.values()).count(DIVERGED) == len(values) else NOT_MEASURED
