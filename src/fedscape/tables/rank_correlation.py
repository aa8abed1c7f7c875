"""Spearman's rank correlation with its interval."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import spearmanr

from fedscape.tables.estimate import CONFIDENCE


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho of pairs, NaN where one side is constant or there are fewer than three.

    low, high: ends of its 95 % interval by Fisher's z with the variance (1 + rho^2 / 2) / (n - 3) of Bonett &
    Wright (Psychometrika, 2000); NaN with fewer than four pairs. It takes pairs for independent: runs of one
    method, which resemble each other over seeds, are not quite, and the interval is then too narrow.
    """

    rho: float
    low: float
    high: float
    pairs: int

    @property
    def standard_error(self) -> float:
        """Of rho, to first order; NaN with fewer than four pairs."""
        return (1 - self.rho**2) * _error_of_z(self.rho, self.pairs)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> RankCorrelation:
    """Of pairs, two arrays [n]; ties have their mean rank."""
    constant = len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0
    rho = math.nan if constant else float(spearmanr(first, second).statistic)
    error = _error_of_z(rho, len(first))
    if math.isnan(error) or abs(rho) >= 1:
        ends = (math.nan, math.nan) if math.isnan(error) else (rho, rho)
        return RankCorrelation(rho, *ends, len(first))
    half_width = float(ndtri((1 + CONFIDENCE) / 2)) * error
    low, high = (math.tanh(math.atanh(rho) + side * half_width) for side in (-1, 1))
    return RankCorrelation(rho, low, high, len(first))


def _error_of_z(rho: float, pairs: int) -> float:
    return math.sqrt((1 + rho**2 / 2) / (pairs - 3)) if pairs > 3 else math.nan
