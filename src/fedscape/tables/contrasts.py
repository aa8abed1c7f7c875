"""What a claim expects, as contrasts: weighted sums of its cases' values, each on one side of a threshold.

Values are paired by seed: a contrast is taken seed by seed, so that what a seed does to all cases alike (its
data, its start) cancels. Its 95 % interval is Student's over seeds, mean -+ t_{n-1} s / sqrt(n), where there
are three or more; fewer do not show how far seeds vary, and the interval is that of the measurement alone:
the standard errors of the values, where their measure knows them, as independent and normal. Of two seeds it
reaches at least from one to the other, so that two which contradict each other are sure of nothing. A claim
may also have a single value of all its seeds together, whose measure knows how far it varies over them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fedscape.settings.claims import Expectation
from fedscape.tables.cases import Measured
from fedscape.tables.estimate import NORMAL_HALF_WIDTH, STUDENT, student_half_width

MEASUREMENT = "measurement"  # an interval from standard errors of the values, not from seeds
TOGETHER = "together"  # one from the standard error over seeds of a single value of them all
FEWEST_SEEDS = 3  # for an interval over seeds
_COMPARED = {  # in words, of two cases and of more
    "ratio": ("second / first", "last / each other"),
    "difference": ("second - first", "last - each other"),
    "gains": ("second - first", "second - first, fourth - third, ..."),
}


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of values, and where it must lie."""

    weights: tuple[float, ...]  # one a case
    threshold: float
    above: bool  # whether it must lie above the threshold, or below it
    touching: bool = False  # whether the threshold itself will do

    @property
    def words(self) -> str:
        """Such as `case 2 - 0.5 case 1 > 0`; cases count from 1."""
        terms = [(weight, number) for number, weight in enumerate(self.weights, start=1) if weight]
        terms.sort(key=lambda term: term[0] < 0)  # what is added stands first
        text = "".join(_term(weight, f"case {number}") for weight, number in terms).removeprefix(" + ")
        sign = (">" if self.above else "<") + ("=" if self.touching else "")
        return f"{text} {sign} {self.threshold:.4g}"


@dataclass(frozen=True)
class Estimated:
    """A contrast as it was found, over seeds."""

    contrast: Contrast
    mean: float
    low: float | None  # ends of the 95 % interval; None where nothing is known of its noise
    high: float | None
    interval: str  # STUDENT, MEASUREMENT, TOGETHER, or empty
    seeds: int

    @property
    def passes(self) -> bool:
        """Whether the mean lies where it must."""
        return self._beyond(self.mean) > 0 or (
            self.contrast.touching and self.mean == self.contrast.threshold
        )

    @property
    def is_sure(self) -> bool:
        """Whether the whole interval lies on the mean's side of the threshold; true without an interval."""
        if self.low is None or self.high is None:
            return True
        ends = (self._beyond(self.low), self._beyond(self.high))
        return min(ends) > 0 if self.passes else max(ends) < 0

    def _beyond(self, value: float) -> float:
        distance = value - self.contrast.threshold
        return distance if self.contrast.above else -distance


def contrasts(expect: Expectation, means: Sequence[float]) -> list[Contrast]:
    """The contrasts that an expectation is made of; it is met if all of them lie where they must.

    means: of each case. A ratio to what is positive becomes a contrast, b / a < t where b - t a < 0, which
    has an interval also where a is near zero.
    """
    terms: list[np.ndarray] = list(np.eye(len(means)))  # what is compared, each as weights of the cases
    *others, last = terms
    above = expect.must == "above"
    if expect.compared == "ratio":
        return [Contrast(tuple(last - expect.number * other), 0.0, above) for other in others]
    if expect.compared == "difference":
        terms = [last - other for other in others]
    elif expect.compared == "gains":
        terms = [after - before for before, after in _pairs(terms)]
    if expect.must in ("above", "below"):
        return [Contrast(tuple(term), expect.number, above) for term in terms]
    if expect.must in ("increasing", "decreasing"):
        return [Contrast(tuple(b - a), 0.0, expect.must == "increasing") for a, b in pairwise(terms)]
    # Numbers of one sign agree where neither is less than this share of the other.
    share = 1 - expect.number
    return [
        Contrast(tuple(b - share * a), 0.0, above=bool((a + b) @ np.asarray(means) > 0), touching=True)
        for first, second in _pairs(terms)
        for a, b in ((first, second), (second, first))
    ]


def estimated(contrast: Contrast, values: Sequence[Mapping[int, Measured]]) -> Estimated:
    """The contrast over the seeds of values, which all cases share; all values are numbers."""
    seeds = list(values[0])
    weights = np.array(contrast.weights)
    table = np.array([[case[seed].value for case in values] for seed in seeds])  # [seeds, cases]
    by_seed = table @ weights
    mean, count = float(by_seed.mean()), len(seeds)
    rests_on = sum(value.seeds for value in values[0].values())
    if count >= FEWEST_SEEDS:
        half_width, interval = student_half_width(by_seed), STUDENT
    else:
        errors = np.array([[case[seed].standard_error for case in values] for seed in seeds])
        known = ~np.isnan(errors) & (weights != 0)
        if not known.any() and count == 1:
            return Estimated(contrast, mean, None, None, "", rests_on)
        variance = np.where(known, (weights * np.nan_to_num(errors)) ** 2, 0).sum()
        half_width = max(NORMAL_HALF_WIDTH * math.sqrt(variance) / count, float(np.ptp(by_seed)) / 2)
        interval = TOGETHER if rests_on > count else MEASUREMENT
    return Estimated(contrast, mean, mean - half_width, mean + half_width, interval, rests_on)


def compares_nothing(contrast: Contrast, values: Sequence[Mapping[int, Measured]]) -> bool:
    """Whether it compares cases that are all 0 at every seed: nothing beside nothing."""
    compared = [case for case, weight in zip(values, contrast.weights, strict=True) if weight]
    return len(compared) > 1 and not any(measured.value for case in compared for measured in case.values())


def divides_by_nothing(expect: Expectation, means: Sequence[float]) -> bool:
    """Whether it asks for a ratio to what is not positive: a share of a barrier that is none says nothing."""
    return expect.compared == "ratio" and min(means[:-1]) <= 0


def expectation_words(expect: Expectation, cases: int) -> str:
    """What is expected of this many cases, to read."""
    if expect.must in ("increasing", "decreasing"):
        words = expect.must
    elif expect.must == "agree":
        words = f"pairs agree within {100 * expect.number:.4g} %"
    else:
        words = f"{expect.must} {expect.number:.4g}"
    if expect.compared == "values":
        return words
    of_two, of_more = _COMPARED[expect.compared]
    return f"{of_two if cases == 2 else of_more} {words}"


def _pairs(terms: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first and the second, the third and the fourth, ..."""
    return list(zip(terms[::2], terms[1::2], strict=True))


def _term(weight: float, name: str) -> str:
    sign, size = ("-" if weight < 0 else "+"), abs(weight)
    return f" {sign} {name}" if size == 1 else f" {sign} {size:.4g} {name}"
