"""Measures of runs: spreads, agreement of orders, courses over rounds, rises; by hand."""

import math

import pandas as pd
import pytest
from claim_frames import measured
from run_frames import rounds_frame, runs_frame


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
