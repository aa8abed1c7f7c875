"""Spearman's rank correlation with its interval."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from fedscape.tables.estimate import NORMAL_HALF_WIDTH


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho of pairs, NaN where one side is constant or there are fewer than three.

    low, high: ends of its 95 % interval by Fisher's z with the variance (1 + rho^2 / 2) / (n - 3) of Bonett
    & Wright (Psychometrika, 2000); NaN with fewer than four pairs. Ranks that agree wholly count there as
    the next lower value that there is, since few pairs agree by chance. It takes pairs for independent:
    runs of one method, which resemble each other over seeds, are not quite, and the interval is then too
    narrow.
    """

    rho: float
    low: float
    high: float
    pairs: int

    @property
    def standard_error(self) -> float:
        """Of the longer half of the interval, as if rho were normal; NaN with fewer than four pairs."""
        return max(self.rho - self.low, self.high - self.rho) / NORMAL_HALF_WIDTH


def rank_correlation(first: np.ndarray, second: np.ndarray) -> RankCorrelation:
    """Of pairs, two arrays [n]; ties have their mean rank."""
    constant = len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0
    rho = math.nan if constant else float(spearmanr(first, second).statistic)
    return RankCorrelation(rho, *_interval(rho, len(first)), len(first))


def _interval(rho: float, pairs: int) -> tuple[float, float]:
    if math.isnan(rho) or pairs < 4:
        return math.nan, math.nan
    most = 1 - 12 / (pairs**3 - pairs)  # where two neighbours have changed places
    near = min(max(rho, -most), most)
    half_width = NORMAL_HALF_WIDTH * math.sqrt((1 + near**2 / 2) / (pairs - 3))
    low, high = (math.tanh(math.atanh(near) + side * half_width) for side in (-1, 1))
    return min(low, rho), max(high, rho)
