"""Measures of claims that read markers and tables."""

import math

import pandas as pd
import pytest
from claim_frames import NAN, markers, measured

from fedscape.columns.identity import IDENTITY


def test_deviation_at_the_last_round_and_on_average():
    def run(name, distances):
        rows = [{"role": "global", "round": i, "distance_to_reference": d} for i, d in enumerate(distances)]
        return markers(
            [*reversed(rows), {"role": "start", "round": 9, "distance_to_reference": 99}], run=name
        )

    frame = pd.concat([run("a", [0, 1, NAN, 5, NAN]), run("b", [0, 3])])
    assert measured("deviation", {"markers": frame}, to="round") == pytest.approx((5 + 3) / 2)
    assert measured("deviation", {"markers": frame}, to="round", at="mean") == pytest.approx((2 + 1.5) / 2)
    assert math.isnan(measured("deviation", {"markers": run("a", [NAN, NAN])}, to="round"))
    assert math.isnan(measured("deviation", {"markers": frame.iloc[:0]}))


def test_deviation_of_a_run_that_only_lags_is_from_the_same_round_and_the_end_not_from_the_path():
    # The reference goes 0, 1, 2, ..., 4 along a line, the other half as fast.
    rows = [
        {
            "role": "global",
            "round": i,
            "distance_to_reference": i / 2,
            "distance_to_reference_path": 0.0,
            "distance_to_reference_end": 4 - i / 2,
        }
        for i in range(5)
    ]
    frames = {"markers": markers(rows)}
    assert measured("deviation", frames) == measured("deviation", frames, at="mean") == 0
    assert measured("deviation", frames, to="round", at="mean") == pytest.approx(1)
    assert measured("deviation", frames, to="end") == pytest.approx(2)


def test_a_run_agrees_with_another_up_to_the_round_before_the_first_that_is_far():
    def departure(distances, **settings):
        rows = [
            {"role": "global", "round": 2 * i, "distance_to_reference": d, "distance_to_reference_end": 4 - i}
            for i, d in enumerate(distances)
        ]
        return measured("departure", {"markers": markers(rows)}, **settings)

    course = [0, 0.8, 2, 0.4]
    assert departure(course, at="first") == pytest.approx(0.2)
    assert departure(course) == pytest.approx(0.1)
    assert departure(course, at="agrees", threshold=0.4) == 2  # back within it at the end does not count
    assert departure(course, at="agrees", threshold=0.5) == 6
    assert departure(course, at="agrees") == 0
    assert math.isnan(departure([1, 0], at="agrees"))
    assert math.isnan(departure([0], at="first"))
    assert math.isnan(departure([NAN]))


def test_local_change():
    rows = [
        {"role": "start", "loss": 1.0},
        {"role": "client", "client": 0, "loss": 1.5, "own_loss_at_start": 2.0, "own_loss": 0.5},
        {"role": "client", "client": 1, "loss": 2.5, "own_loss_at_start": 1.0, "own_loss": 0.7},
        {"role": "path", "client": 1, "loss": 9.0, "own_loss_at_start": 9.0, "own_loss": 0.1},
        {"role": "client", "client": 2, "loss": 2.0},  # has none of the samples
        {"role": "aggregate", "loss": 0.8},
    ]
    frame = markers(rows)
    assert measured("local-change", {"markers": frame}, statistic="own") == pytest.approx((-1.5 - 0.3) / 2)
    assert measured("local-change", {"markers": frame}, statistic="global") == pytest.approx(2.0 - 1.0)
    assert measured("local-change", {"markers": frame}, statistic="aggregate") == pytest.approx(0.8 - 2.0)
    rows[1] |= {"loss": NAN, "own_loss": NAN}  # a client that diverged
    for statistic in ("own", "global", "aggregate"):
        assert math.isnan(measured("local-change", {"markers": markers(rows)}, statistic=statistic))
    assert math.isnan(measured("local-change", {"markers": markers(rows[:1])}, statistic="own"))
    assert math.isnan(measured("local-change", {"markers": markers(rows[:2])}, statistic="aggregate"))


def test_final_and_barrier():
    runs = pd.DataFrame({"train_loss": [1.0, 2.0], "test_accuracy": [0.5, NAN]})
    assert measured("final", {"runs": runs}) == 1.5
    assert math.isnan(measured("final", {"runs": runs}, column="test_accuracy"))
    rows = [
        {"split": split, "measure": of, "sup": height * scale, "midpoint": -height * scale}
        for split, of, scale in (("train", "loss", 1), ("train", "error", 10), ("test", "loss", 100))
        for height in (0.5, 0.75, 4)
    ]
    frames = {"barriers": pd.DataFrame(rows)}
    assert measured("barrier", frames) == 1.75
    assert measured("barrier", frames, statistic="max", split="test") == 400
    assert measured("barrier", frames, statistic="min", height="midpoint", of="error") == -40
    assert math.isnan(measured("barrier", {"barriers": pd.DataFrame([*rows, {**rows[0], "sup": NAN}])}))
    assert math.isnan(measured("barrier", {"barriers": pd.DataFrame(rows)[:0]}))


def test_a_cost_is_the_mean_over_runs():
    def rounds(seed, seconds, memory):
        names = {**dict.fromkeys(IDENTITY, "x"), "seed": seed, "evaluation_seconds": 0.0}
        return [
            {**names, "round": number, "training_seconds": seconds, "peak_memory_mib": memory}
            for number in (0, 1, 2)
        ]

    frames = {"timing": pd.DataFrame([*rounds(0, 1.0, 100.0), *rounds(1, 2.0, NAN)])}
    assert measured("cost", frames) == 1.5
    assert math.isnan(measured("cost", frames, column="peak_memory_mib"))
