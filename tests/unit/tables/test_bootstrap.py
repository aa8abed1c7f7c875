"""Bootstrap intervals and ranks: closed forms of few seeds, the normal law of many."""

from itertools import product

import numpy as np
import pytest

from fedscape.tables.comparison import best_of, ordered_agreement, ranks
from fedscape.tables.estimate import mean_interval, rank_intervals


def test_two_seeds_give_both_values_and_one_seed_nothing():
    # Means of the four resamples: both ends with probability 1/4 each, far above 2.5 %.
    assert mean_interval([0.25, 0.75], 0.95) == (0.25, 0.75)
    assert mean_interval([0.4, 0.4, 0.4], 0.95) == pytest.approx((0.4, 0.4))
    assert mean_interval([0.4], 0.95) is None and mean_interval([], 0.95) is None


def test_three_seeds_agree_with_all_27_resamples():
    values = [1.0, 2.0, 6.0]
    means = sorted(np.mean(one) for one in product(values, repeat=3))
    # 1/27 = 3.7 % of the resamples are (1, 1, 1), as many (6, 6, 6): quantiles of 2.5 % are the extremes.
    assert mean_interval(values, 0.95) == (means[0], means[-1]) == (1.0, 6.0)
    # A tenth: means 1 (1/27) and 4/3 (3/27) hold 4/27 = 14.8 %, so 10 % lies at 4/3; above, 6 and 14/3.
    assert mean_interval(values, 0.8) == pytest.approx((4 / 3, 14 / 3))


def test_many_seeds_agree_with_the_normal_law():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = mean_interval(values, 0.95)
    half = 1.959964 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_the_same_numbers_give_the_same_interval():
    values = [0.1, 0.5, 0.4, 0.9]
    assert mean_interval(values, 0.95) == mean_interval(values, 0.95)


def test_ranks_begin_with_the_best_and_equals_share():
    values = np.array([0.5, 0.9, 0.5, 0.1])
    assert list(ranks(values, "highest")) == [2.5, 1, 2.5, 4]
    assert list(ranks(values, "lowest")) == [2.5, 4, 2.5, 1]
    assert [best_of(one) for one in ("test_loss", "test_accuracy")] == ["lowest", "highest"]


def test_methods_far_apart_keep_their_ranks_and_close_ones_change_places():
    values = np.array([[0.9, 0.8, 0.85], [0.5, 0.1, 0.3], [0.4, 0.2, 0.3]])
    found = rank_intervals(values, "highest", 0.95)
    assert found[0].tolist() == [1, 1]
    assert found[1].tolist() == found[2].tolist() == [2, 3]
    assert rank_intervals(values[:, :1], "highest", 0.95) is None


def test_seeds_are_drawn_for_all_methods_alike():
    # One is always just above the other, however much both vary from seed to seed.
    seeds = np.array([0.1, 0.9, 0.4, 0.6])
    found = rank_intervals(np.array([seeds + 0.01, seeds]), "highest", 0.95)
    assert found.tolist() == [[1, 1], [2, 2]]


def test_kendalls_tau_in_closed_form():
    def tau(left, right):
        return ordered_agreement(left, right, tie=0, fewest=1)

    order = np.arange(6.0)
    assert tau(order, order) == pytest.approx(1)
    assert tau(order, order[::-1]) == pytest.approx(-1)
    swapped = order.copy()
    swapped[[2, 3]] = swapped[[3, 2]]
    assert tau(order, swapped) == pytest.approx(1 - 4 / (6 * 5))  # one of 15 pairs is the other way round
    assert np.isnan(tau(order[:1], order[:1])) and np.isnan(tau(order, np.zeros(6)))
