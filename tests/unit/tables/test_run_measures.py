"""Measures of runs: spreads, agreement of orders, courses over rounds, rises; by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from claim_frames import measured, standard_error
from run_frames import rounds_frame, runs_frame
from scipy import stats

from fedscape.evaluation.update_statistics import UpdateStatistics


def accuracy(**rows):
    """Runs by method -> accuracies of seeds 0, 1, ..."""
    return [
        {"method": method, "seed": seed, "test_accuracy": value}
        for method, values in rows.items()
        for seed, value in enumerate(values)
    ]


def test_the_spread_is_of_means_over_seeds():
    rows = accuracy(a=[0.2, 0.4], b=[0.9, 0.5], c=[0.5, 0.5])
    assert measured("spread", {"runs": runs_frame(*rows)}, across="method") == pytest.approx(0.7 - 0.3)


def test_spreads_are_taken_among_like_runs_and_averaged():
    rows = []
    for dataset, values in (("x", (0.9, 0.7)), ("y", (0.5, 0.1))):
        for partition, value in zip(("iid", "dir0.1"), values, strict=True):
            rows.append(
                {"dataset": dataset, "partition": partition, "test_accuracy": value, "train_loss": 2 * value}
            )
    frames = {"runs": runs_frame(*rows)}
    assert measured("spread", frames, across="partition") == pytest.approx((0.2 + 0.4) / 2)
    assert measured("spread", frames, across="partition", column="train_loss") == pytest.approx(0.6)
    # Of the second data set there is one partition alone.
    assert math.isnan(measured("spread", {"runs": runs_frame(*rows[:3])}, across="partition"))
    assert math.isnan(measured("spread", {"runs": runs_frame(*rows).iloc[:0]}, across="partition"))
    missing = runs_frame(*rows)
    missing.loc[0, "test_accuracy"] = math.nan
    assert math.isnan(measured("spread", {"runs": missing}, across="partition"))


@pytest.mark.parametrize(("iid", "gap"), [(0.9, 0.2), (0.5, -0.2)])
def test_a_gap_has_a_sign(iid, gap):
    rows = [{"partition": "iid", "test_accuracy": iid}, {"partition": "dir0.1", "test_accuracy": 0.7}]
    frames = {"runs": runs_frame(*rows)}
    assert measured("spread", frames, across="partition", minus="dir0.1") == pytest.approx(gap)
    assert measured("spread", frames, across="partition") == pytest.approx(0.2)
    assert math.isnan(measured("spread", frames, across="partition", minus="users"))


def test_points_of_a_grid_are_one_method():
    rows = accuracy(**{"a.g1": [0.2], "a.g2": [0.4], "b": [0.9]})
    assert measured("spread", {"runs": runs_frame(*rows)}, across="method") == pytest.approx(0.9 - 0.3)


def orders(random, pretrained, **names):
    starts = {"random": random, "pretrained": pretrained}
    return [
        {"init": init, "method": f"m{i}", "test_accuracy": value, **names}
        for init, values in starts.items()
        for i, value in enumerate(values)
    ]


def test_rank_agreement_is_kendalls_tau_averaged_over_like_runs():
    same, turned = orders([1, 2, 3], [10, 20, 30]), orders([1, 2, 3], [3, 2, 1], dataset="other")
    assert measured("rank-agreement", {"runs": runs_frame(*same)}) == pytest.approx(1)
    assert measured("rank-agreement", {"runs": runs_frame(*same, *turned)}) == pytest.approx(0)
    one_swap = orders([1, 2, 3, 4], [1, 2, 4, 3])
    assert measured("rank-agreement", {"runs": runs_frame(*one_swap)}) == pytest.approx(1 - 2 / 6)
    shuffled = runs_frame(*one_swap).sample(frac=1, random_state=1)
    assert measured("rank-agreement", {"runs": shuffled}) == pytest.approx(1 - 2 / 6)


def test_rank_agreement_needs_two_orders_of_the_same_methods():
    rows = orders([1, 2, 3], [1, 2, 3])
    assert math.isnan(measured("rank-agreement", {"runs": runs_frame(*rows[:3])}))
    assert math.isnan(measured("rank-agreement", {"runs": runs_frame(*rows[:-1])}))
    assert math.isnan(measured("rank-agreement", {"runs": runs_frame(*rows, {"init": "third"})}))


def test_the_noise_of_rank_agreement_is_that_of_means_over_seeds():
    """Of two methods tau is 1 or -1, by the normal chance that neither or both orders turn."""
    seeds = {  # by start and seed, of two methods; what a seed adds to both, 10 and 30, is no noise
        "random": [(0.0, 3.0), (10.0, 9.0), (30.0, 32.0)], "pretrained": [(0.0, 2.0), (10.0, 9.5), (30.0, 30.5)],
    }  # fmt: skip
    rows = [
        {"init": init, "method": f"m{i}", "seed": seed, "test_accuracy": value}
        for init, values in seeds.items()
        for seed, pair in enumerate(values)
        for i, value in enumerate(pair)
    ]
    assert measured("rank-agreement", {"runs": runs_frame(*rows)}) == 1
    stays = []
    for values in seeds.values():
        steps = np.array([second - first for first, second in values])
        # Half of the variance of steps is each method's; of the difference of two means, a third of all of it.
        stays.append(stats.norm.cdf(steps.mean() / np.sqrt(steps.var(ddof=1) / 3)))
    plus = stays[0] * stays[1] + (1 - stays[0]) * (1 - stays[1])
    assert standard_error("rank-agreement", {"runs": runs_frame(*rows)}) == pytest.approx(
        2 * math.sqrt(plus * (1 - plus)), rel=0.1
    )
    assert math.isnan(standard_error("rank-agreement", {"runs": runs_frame(*rows[:2], *rows[6:8])}))


def test_statistics_over_rounds_leave_out_the_start():
    nan = math.nan
    frame = pd.concat([rounds_frame([9, 1, nan, 3, 8]), rounds_frame([9, 2, 2, 2, 2], seed=1)])

    def over(**settings):
        return measured(
            "over-rounds", {"rounds": frame.sample(frac=1, random_state=0)}, column="train_loss", **settings
        )

    assert over() == pytest.approx((4 + 2) / 2)
    assert over(statistic="max") == 5 and over(statistic="min") == 1.5
    assert over(until=3) == pytest.approx((2 + 2) / 2)
    assert over(until=0.25) == pytest.approx((1 + 2) / 2)  # the first of four rounds
    empty = rounds_frame([1, nan], column="mean_cosine")
    assert math.isnan(measured("over-rounds", {"rounds": empty}, column="mean_cosine"))
    assert math.isnan(measured("over-rounds", {"rounds": frame.iloc[:0]}, column="train_loss"))
    for until in (0, 1.5, -1):
        with pytest.raises(ValueError, match="until must be"):
            over(until=until)


def test_the_largest_rise_from_one_evaluated_round_to_the_next():
    nan = math.nan
    assert measured("rise", {"rounds": rounds_frame([2, 1, 4, nan, 1, 2])}) == 3
    assert measured("rise", {"rounds": rounds_frame([1, nan, 4, 5])}) == 3
    assert measured("rise", {"rounds": rounds_frame([3, 2, 1])}) == 0
    both = pd.concat([rounds_frame([1, 2]), rounds_frame([1, 4], seed=1)])
    assert measured("rise", {"rounds": both}) == 2
    assert math.isnan(measured("rise", {"rounds": rounds_frame([3, nan])}))
    assert math.isnan(measured("rise", {"rounds": rounds_frame([1.0])[:0]}))


def ended(*courses):
    """Runs whose last round is 0.5, and the rounds of their accuracy."""
    names = [{"method": f"m{i}", "init": init} for i, init, _ in courses]
    rounds = [
        rounds_frame(values, column="test_accuracy", **name)
        for name, (*_, values) in zip(names, courses, strict=True)
    ]
    return {"runs": runs_frame(*names), "rounds": pd.concat(rounds)}


def test_a_run_that_wanders_ends_where_its_last_fifth_is_on_average():
    nan = math.nan
    # Of ten rounds, 9 and 10.
    frames = ended((0, "random", [0] * 9 + [0.2, 0.4]), (1, "random", [0] * 9 + [nan, 0.9]))
    assert measured("spread", frames, across="method", rounds="last-fifth") == pytest.approx(0.9 - 0.3)
    assert measured("spread", frames, across="method") == 0
    never = ended((0, "random", [0.1, 0.2]), (1, "random", [nan, nan]))
    assert math.isnan(measured("spread", never, across="method", rounds="last-fifth"))

    both = [
        (i, init, [0, value, value]) for init in ("random", "pretrained") for i, value in enumerate((1, 3, 2))
    ]
    assert measured("rank-agreement", ended(*both), rounds="last-fifth") == 1
    for kind, own in (("spread", {"across": "method"}), ("rank-agreement", {})):
        with pytest.raises(ValueError, match="best_test_accuracy, which is of one round"):
            measured(kind, frames, column="best_test_accuracy", rounds="last-fifth", **own)


def test_pairs_that_are_as_good_as_each_other_have_no_order():
    rows = orders([0.1, 0.2, 0.3, 0.302], [0.4, 0.5, 0.6, 0.61])
    turned = orders([0.1, 0.2, 0.3, 0.302], [0.4, 0.5, 0.61, 0.6])
    for same in (rows, turned):  # the last two lie within half a point of each other from random weights
        assert measured("rank-agreement", {"runs": runs_frame(*same)}, tie=0.005) == 1
    assert measured("rank-agreement", {"runs": runs_frame(*turned)}) == pytest.approx(1 - 2 / 6)
    # What one start cannot tell apart the other cannot turn round.
    level = orders([0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.5, 0.9])
    assert measured("rank-agreement", {"runs": runs_frame(*level)}, fewest=3) == 1
    assert math.isnan(measured("rank-agreement", {"runs": runs_frame(*level)}, fewest=4))
    assert math.isnan(measured("rank-agreement", {"runs": runs_frame(*level)}, tie=0.5))
    for wrong in ({"tie": -0.1}, {"fewest": 0}):
        with pytest.raises(ValueError, match="must be"):
            measured("rank-agreement", {"runs": runs_frame(*level)}, **wrong)


def test_noise_of_equal_methods_is_no_disagreement():
    """Tau of methods that differ by noise alone says nothing; of the pairs that differ by more it is 1."""
    rng = np.random.default_rng(0)
    quality = np.repeat([0.2, 0.4, 0.6], 4)
    one, other = (quality + rng.uniform(-0.004, 0.004, len(quality)) for _ in range(2))
    frames = {"runs": runs_frame(*orders(one, other))}
    assert measured("rank-agreement", frames) < 0.95
    assert measured("rank-agreement", frames, tie=0.01, fewest=48) == 1


def test_client_drift_is_the_share_of_updates_that_cancels():
    def drift(*rounds):
        """Of clients' updates [n, P] by round."""
        rows = []
        for updates in rounds:
            statistics = UpdateStatistics(torch.zeros(updates.shape[1]), len(updates))
            for update in updates:
                statistics.add(update)
            rows.append((len(updates), statistics.agreement().inverse_gradient_diversity))
        frame = rounds_frame([math.nan] * (len(rows) + 1))
        frame["clients"], frame["inverse_gradient_diversity"] = zip((0, math.nan), *rows, strict=True)
        return measured("client-drift", {"rounds": frame})

    equal, orthogonal, opposite = torch.ones(4, 8), torch.eye(4), torch.tensor([[1.0, 2], [-1, -2]])
    assert drift(equal) == pytest.approx(0)
    assert drift(orthogonal) == pytest.approx(1 - 1 / 4)
    assert drift(opposite) == pytest.approx(1)
    assert drift(equal, orthogonal) == pytest.approx(3 / 8)
    # Parallel updates of unequal lengths part, too: 1 and 3 lie 1 from their mean of 2.
    assert drift(torch.tensor([[1.0], [3.0]])) == pytest.approx((1 / 4) / (1 + 1 / 4))

    updates = torch.randn(5, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    apart = (updates - updates.mean(0)).square().sum(1).mean() / updates.mean(0).square().sum()
    assert drift(updates.float()) == pytest.approx(float(apart / (1 + apart)), rel=1e-6)
    assert drift(100 * updates.float()) == pytest.approx(drift(updates.float()), rel=1e-6)


def test_client_drift_of_no_rounds_is_not_measured():
    frame = rounds_frame([math.nan] * 2).assign(clients=3, inverse_gradient_diversity=math.nan)
    assert math.isnan(measured("client-drift", {"rounds": frame}))
    assert math.isnan(measured("client-drift", {"rounds": frame.iloc[:0]}))
