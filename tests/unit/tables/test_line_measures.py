"""Measures on the lines between final models: basins, and what finite samples leave open of a barrier."""

import math
from itertools import combinations

import pandas as pd
import pytest
from claim_frames import NAN, measured, standard_error

ENDS = {"a": 0.001, "b": 0.002, "c": 1.0, "d": 1.2}


def lines(highest=None, ends=None, **columns):
    """Rows of barriers.csv of all pairs of models; of some pairs, how high their line goes, else no higher."""
    ends = ends or ENDS
    rows = []
    for one, other in combinations(ends, 2):
        top = (highest or {}).get(one + other, max(ends[one], ends[other]))
        of_ends = {"from_value": ends[one], "to_value": ends[other]}
        rows.append({"run": one, "to_run": other, "highest": top, **of_ends})
    frame = pd.DataFrame(rows).assign(measure="loss", split="train").assign(**columns)
    others = [frame.assign(measure="error", highest=99.0), frame.assign(split="test", highest=99.0)]
    return {"barriers": pd.concat([frame, *others])}


def walls(*pairs, height=9.0):
    return dict.fromkeys(pairs, height)


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        ({}, 1),
        (walls("ab", "ac", "ad", "bc", "bd", "cd"), 4),
        (walls("ac", "ad", "bc", "bd"), 2),
        (walls("ac", "bd", "ad"), 1),  # through b and c
        (walls("ad", "bd", "cd"), 2),
    ],
)
def test_models_that_no_wall_parts_lie_in_one_basin(highest, expected):
    assert measured("basins", lines(highest)) == expected


def test_the_level_is_a_quarter_above_the_higher_end_counted_from_below_zero():
    pair = {"c": 1.0, "d": 1.2}
    for top, expected in ((1.2 * 1.25 + 0.025 - 1e-9, 1), (1.2 * 1.25 + 0.025 + 1e-9, 2)):
        assert measured("basins", lines({"cd": top}, pair)) == expected
    assert measured("basins", lines({"cd": 1.5 + 1e-9}, pair), offset=0.0) == 2
    assert measured("basins", lines({"cd": 1.9}, pair), ratio=2.0) == 1
    near_zero = {"a": 0.001, "b": 0.002}
    assert measured("basins", lines({"ab": 0.02}, near_zero)) == 1
    assert measured("basins", lines({"ab": 0.02}, near_zero), offset=0.0) == 2


def test_basins_need_every_line():
    every = lines()
    train = (every["barriers"]["measure"] == "loss") & (every["barriers"]["split"] == "train")
    without = every["barriers"][
        ~(train & (every["barriers"]["to_run"] == "d") & (every["barriers"]["run"] == "a"))
    ]
    assert math.isnan(measured("basins", {"barriers": without}))
    assert math.isnan(measured("basins", lines({"ab": NAN})))
    assert math.isnan(measured("basins", {"barriers": every["barriers"].iloc[:0]}))
    assert measured("basins", lines(walls("ab", height=math.inf))) == 1, "joined by the others"
    for slip in ({"ratio": 0.9}, {"offset": -0.1}):
        with pytest.raises(ValueError, match="must be at least"):
            measured("basins", every, **slip)


def test_the_noise_of_a_barrier_is_that_of_the_pair_or_the_mean_of_them():
    rows = [
        {
            "split": split,
            "measure": of,
            "sup": height,
            "midpoint": -height,
            "sup_se": error,
            "midpoint_se": 2 * error,
        }
        for split, of in (("train", "loss"), ("test", "error"))
        for height, error in ((0.5, 0.01), (4.0, 0.03), (0.7, 0.02))
    ]
    frames = {"barriers": pd.DataFrame(rows)}
    assert standard_error("barrier", frames) == pytest.approx(0.02)
    assert standard_error("barrier", frames, height="midpoint", of="error", split="test") == pytest.approx(
        0.04
    )
    assert standard_error("barrier", frames, statistic="max") == 0.03
    assert standard_error("barrier", frames, statistic="min") == 0.01
    assert standard_error("barrier", frames, statistic="min", height="midpoint") == 0.06
    assert math.isnan(standard_error("barrier", {"barriers": pd.DataFrame(rows)[:0]}))
    assert math.isnan(
        standard_error("barrier", {"barriers": pd.DataFrame([*rows, {**rows[0], "sup_se": NAN}])})
    )


def bent(straight=(0.4, 0.8), curve=(0.1, 0.2), **columns):
    """Rows of curve-barriers.csv of two pairs."""
    rows = [
        {"line": line, "sup": height, "midpoint": height / 2, "sup_se": 0.1 * height, "midpoint_se": 0.0}
        for line, heights in (("straight", straight), ("curve", curve))
        for height in heights
    ]
    frame = pd.DataFrame(rows).assign(measure="loss", split="train").assign(**columns)
    return {"curve_barriers": pd.concat([frame, frame.assign(split="test", sup=9.0)])}


def test_the_barrier_that_a_curve_leaves():
    assert measured("curve-barrier", bent()) == pytest.approx(0.15)
    assert measured("curve-barrier", bent(), line="straight", statistic="max") == 0.8
    assert measured("curve-barrier", bent(), height="midpoint", statistic="min") == 0.05
    assert measured("curve-barrier", bent(), line="left") == pytest.approx(0.15 / 0.6)
    assert measured("curve-barrier", bent(), split="test", line="left") == 1
    assert standard_error("curve-barrier", bent()) == pytest.approx(0.015)
    assert standard_error("curve-barrier", bent(), line="straight", statistic="max") == pytest.approx(0.08)
    assert math.isnan(standard_error("curve-barrier", bent(), line="left"))


def test_nothing_is_left_of_no_barrier():
    assert math.isnan(measured("curve-barrier", bent(straight=(0.0, 0.0), curve=(0.0, 0.0)), line="left"))
    assert math.isnan(measured("curve-barrier", bent(), line="left", least=0.7))
    assert measured("curve-barrier", bent(), line="left", least=0.5) == pytest.approx(0.25)
    assert math.isnan(measured("curve-barrier", bent(curve=(0.1, NAN)), line="left"))
    assert math.isnan(measured("curve-barrier", {"curve_barriers": bent()["curve_barriers"].iloc[:0]}))
    assert math.isnan(measured("curve-barrier", bent(measure="error"))), "of another measure"


def test_an_offset_makes_a_level_of_a_loss_near_zero():
    runs = {"runs": pd.DataFrame({"train_loss": [0.001, 0.003], "train_accuracy": [1.0, 1.0]})}
    assert measured("final", runs, offset=0.1) == pytest.approx(0.102)
    with pytest.raises(ValueError, match="at least 0"):
        measured("final", runs, offset=-1.0)
    with pytest.raises(ValueError, match="for losses, not for train_accuracy"):
        measured("final", runs, offset=0.1, column="train_accuracy")
