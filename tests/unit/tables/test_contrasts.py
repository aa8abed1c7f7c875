"""Contrasts of claims: what an expectation compares, intervals by seed, and the verdicts on them."""

import math

import numpy as np
import pytest
from scipy import stats

from fedscape.settings.claims import Expectation
from fedscape.tables.cases import Measured
from fedscape.tables.claims import decide
from fedscape.tables.contrasts import contrasts, estimated, expectation_words

NAN = math.nan


def sides(*cases, errors=None):
    """Values by seed, of each case: a number for one seed, or a list for seeds 0, 1, ..."""
    lists = [case if isinstance(case, list) else [case] for case in cases]
    return [
        {seed: Measured(value, errors[i] if errors else NAN) for seed, value in enumerate(values)}
        for i, values in enumerate(lists)
    ]


def verdict(values, expect, errors=None):
    return decide(sides(*values, errors=errors), Expectation.of(expect), [True] * len(values)).verdict


@pytest.mark.parametrize(
    ("expect", "holds", "fails"),
    [
        ({"order": "increasing"}, [1.0, 2.0, 3.0], [1.0, 3.0, 3.0]),
        ({"order": "decreasing"}, [3.0, 2.0, -1.0], [3.0, 1.0, 2.0]),
        ({"above": 0}, [0.1, 5.0], [0.1, 0.0]),
        ({"below": 2}, [1.0, -3.0], [1.0, 2.0]),
        ({"ratio": {"below": 0.5}}, [4.0, 1.9], [4.0, 2.0]),
        ({"ratio": {"above": 2}}, [1.0, 2.1], [1.0, 2.0]),
        ({"difference": {"above": 2}}, [1.0, -1.0, 3.1], [1.0, 1.5, 3.1]),
        ({"difference": {"below": 2}}, [1.0, 2.0, 2.9], [0.5, 2.0, 2.5]),
        ({"gains": {"above": 2}}, [1.0, 3.1, 5.0, 8.0], [1.0, 3.1, 5.0, 7.0]),
        ({"gains": {"order": "decreasing"}}, [1.0, 3.0, 5.0, 6.0], [1.0, 3.0, 1.0, 3.0]),
        ({"agree": 0.2}, [1.0, 0.8, -5.0, -4.5], [1.0, 1.0, 5.0, 3.9]),
        ({"agree": 0.2}, [4.5, 5.0], [1.0, -1.0]),
    ],
)
def test_each_expectation_has_every_verdict_of_one_seed(expect, holds, fails):
    assert verdict(holds, expect) == "holds"
    assert verdict(fails, expect) == "does not hold"
    for word in ("diverged", "not measured", "learned nothing"):
        assert verdict([*holds[:-1], word], expect) == "not measurable"
    assert verdict(["not run", *holds[1:-1], "diverged"], expect) == "not run at this scale"
    # A wide interval of the measurement leaves both open, a narrow one neither.
    for values, name in ((holds, "holds"), (fails, "does not hold")):
        assert verdict(values, expect, errors=[100.0] * len(values)) == f"{name}, within noise"
    assert (
        verdict(holds, {"agree": 0.3} if "agree" in expect else expect, errors=[1e-9] * len(holds)) == "holds"
    )


def test_a_share_of_nothing_and_nothing_beside_nothing_are_not_measurable():
    assert verdict([0.0, 1.0], {"ratio": {"above": 2}}) == "not measurable"
    assert verdict([-1.0, 1.0], {"ratio": {"below": 2}}) == "not measurable"
    assert verdict([1.0, 0.0, 1.0], {"ratio": {"below": 2}}) == "not measurable"
    assert verdict([1.0, 0.0], {"ratio": {"below": 2}}) == "holds"
    assert verdict([0.0, 0.0], {"agree": 0.1}) == "not measurable"
    assert verdict([5.0, 1.0, 0.0, 0.0], {"agree": 0.1}) == "not measurable"
    assert verdict([0.0, 1.0], {"agree": 0.1}) == "does not hold"
    assert verdict([0.0, 0.0], {"order": "increasing"}) == "not measurable"
    assert verdict([0.0, 0.0], {"difference": {"above": -1}}) == "not measurable"
    assert verdict([0.0], {"below": 1}) == "holds"


def test_a_ratio_is_of_the_last_case_over_each_of_the_others():
    assert verdict([1.0, 2.0, 5.0], {"ratio": {"above": 2}}) == "holds"
    assert verdict([1.0, 2.5, 5.0], {"ratio": {"above": 2}}) == "does not hold"
    assert verdict([2.5, 1.0, 5.0], {"ratio": {"above": 2}}) == "does not hold"
    assert expectation_words(Expectation.of({"ratio": {"above": 2}}), 2) == "second / first above 2"
    assert expectation_words(Expectation.of({"ratio": {"above": 2}}), 3) == "last / each other above 2"


def test_differences_and_gains_are_said_in_words():
    assert expectation_words(Expectation.of({"difference": {"below": 0.5}}), 2) == "second - first below 0.5"
    assert (
        expectation_words(Expectation.of({"difference": {"below": 0.5}}), 3) == "last - each other below 0.5"
    )
    assert expectation_words(Expectation.of({"gains": {"above": 0.02}}), 2) == "second - first above 0.02"
    assert (
        expectation_words(Expectation.of({"gains": {"order": "decreasing"}}), 4)
        == "second - first, fourth - third, ... decreasing"
    )


@pytest.mark.parametrize(
    "expect",
    [
        {"order": "decreasing"},
        {"below": 2.0},
        {"agree": 0.1},
        {"ratio": {"above": 0.5}},
        {"gains": {"order": "increasing"}},
    ],
)
def test_an_expectation_is_said_as_studies_say_it(expect):
    assert Expectation.of(expect).keys == expect


@pytest.mark.parametrize(
    ("expect", "means", "words"),
    [
        ({"above": 0.05}, [1, 2], ["case 1 > 0.05", "case 2 > 0.05"]),
        ({"order": "decreasing"}, [3, 2, 1], ["case 2 - case 1 < 0", "case 3 - case 2 < 0"]),
        ({"ratio": {"below": 0.5}}, [3, 2], ["case 2 - 0.5 case 1 < 0"]),
        ({"difference": {"above": -0.01}}, [1, 1, 1], ["case 3 - case 1 > -0.01", "case 3 - case 2 > -0.01"]),
        ({"agree": 0.2}, [5, 4], ["case 2 - 0.8 case 1 >= 0", "case 1 - 0.8 case 2 >= 0"]),
        ({"gains": {"order": "increasing"}}, [1, 2, 1, 4], ["case 1 + case 4 - case 2 - case 3 > 0"]),
    ],
)
def test_contrasts_read_as_what_is_compared(expect, means, words):
    assert [one.words for one in contrasts(Expectation.of(expect), means)] == words


def test_the_interval_over_seeds_is_that_of_a_paired_t_test():
    """What seeds do to both cases alike cancels: scipy's paired test is the oracle."""
    draw = np.random.default_rng(0)
    luck = 10 * draw.standard_normal(5)
    first, second = luck + 0.1 * draw.standard_normal(5), luck + 0.3 + 0.1 * draw.standard_normal(5)
    (contrast,) = contrasts(Expectation.of({"order": "increasing"}), [first.mean(), second.mean()])
    found = estimated(contrast, sides(list(first), list(second)))
    oracle = stats.ttest_rel(second, first).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high))
    assert (found.interval, found.seeds) == ("student", 5)
    assert found.mean == pytest.approx(np.mean(second - first))
    # Unpaired, nothing could be said.
    assert stats.ttest_ind(second, first).confidence_interval(0.95).low < 0 < found.low
    assert verdict([list(first), list(second)], {"order": "increasing"}) == "holds"


def test_a_threshold_within_the_interval_is_noise_on_either_side():
    wide = [[0.0, 0.0, 0.0], [1.0, -1.0, 0.3]]
    assert verdict(wide, {"order": "increasing"}) == "holds, within noise"
    assert verdict(wide, {"order": "decreasing"}) == "does not hold, within noise"
    narrow = [[0.0, 0.0, 0.0], [1.0, 1.1, 0.9]]
    assert verdict(narrow, {"order": "increasing"}) == "holds"
    assert verdict(narrow, {"order": "decreasing"}) == "does not hold"
    # One comparison that surely fails decides, whatever the others do.
    assert verdict([*wide, [-9.0, -9.0, -9.1]], {"order": "increasing"}) == "does not hold"


@pytest.mark.parametrize(("seeds", "shrunk"), [(1, 1), (2, math.sqrt(2))])
def test_of_fewer_than_three_seeds_the_measurement_has_the_interval(seeds, shrunk):
    (contrast,) = contrasts(Expectation.of({"ratio": {"below": 0.5}}), [2.0, 0.9])
    found = estimated(contrast, sides([2.0] * seeds, [0.9] * seeds, errors=[0.2, 0.1]))
    half_width = stats.norm.ppf(0.975) * math.hypot(0.5 * 0.2, 0.1) / shrunk
    assert (found.low, found.high) == pytest.approx((-0.1 - half_width, -0.1 + half_width))
    assert found.interval == "measurement"
    one = estimated(contrast, sides([2.0] * seeds, [0.9] * seeds, errors=[NAN, 0.1]))
    assert one.high - one.mean == pytest.approx(stats.norm.ppf(0.975) * 0.1 / shrunk)


def test_of_one_seed_without_a_standard_error_nothing_is_known():
    (contrast,) = contrasts(Expectation.of({"ratio": {"below": 0.5}}), [2.0, 0.9])
    none = estimated(contrast, sides([2.0], [0.9]))
    assert (none.low, none.high, none.interval) == (None, None, "")


@pytest.mark.parametrize(("errors", "half_width"), [(None, 1.25), ([0.01, 0.01], 1.25), ([9.0, 0.0], 12.47)])
def test_of_two_seeds_that_contradict_each_other_nothing_is_sure(errors, half_width):
    """Gains of 2 and -0.5: 0.75 on average, and an interval from one to the other, or wider."""
    (contrast,) = contrasts(Expectation.of({"difference": {"above": 0}}), [1.0, 1.75])
    found = estimated(contrast, sides([1.0, 1.0], [3.0, 0.5], errors=errors))
    assert (found.low, found.high) == pytest.approx((0.75 - half_width, 0.75 + half_width), abs=0.01)
    assert found.passes and not found.is_sure
    agreed = estimated(contrast, sides([1.0, 1.0], [3.0, 1.5]))
    assert (agreed.low, agreed.high) == pytest.approx((0.5, 2.0)) and agreed.is_sure


def test_a_ratio_to_nearly_nothing_is_noise_and_no_large_number():
    values = [[0.001, -0.0005, 0.0004], [0.01, -0.009, 0.002]]
    assert verdict(values, {"ratio": {"above": 2}}) == "holds, within noise"


def test_cases_without_a_seed_in_common_are_not_compared():
    found = decide([{}, {}], Expectation("values", "increasing"), [True, True])
    assert (found.verdict, found.note) == ("not measurable", "no seed in common")
    assert (
        decide([{}, {}], Expectation("values", "increasing"), [True, False]).verdict
        == "not run at this scale"
    )
