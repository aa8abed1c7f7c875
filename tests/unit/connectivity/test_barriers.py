"""Barriers: closed forms on curves, and on the straight line through a quadratic."""

import bowl
import normed
import numpy as np
import pytest
from stage_values import problem_of, runs_of

from fedscape.checkpoints.readers import Trajectory
from fedscape.checkpoints.writer import shorten
from fedscape.columns.csvs import read_csv
from fedscape.connectivity.barriers import barrier
from fedscape.connectivity.path import evaluate_paths, path_positions, rise_errors
from fedscape.evaluation.evaluate import evaluate as plain
from fedscape.evaluation.problem import open_problem
from fedscape.jobs.resume import Resume
from fedscape.settings.connectivity import PathSettings


def evaluate(tmp_path, arguments, pairs, points=11, batch_norm="recalibrate"):
    outputs = {"out_path": tmp_path / "path.csv", "out_barriers": tmp_path / "barriers.csv"}
    evaluate_paths(
        runs=runs_of(arguments, connectivity="c", group="g"),
        pairs=pairs,
        problem=problem_of(arguments),
        settings=PathSettings(points, batch_norm),
        resume=Resume(tmp_path / "resume", "f"),
        **outputs,
    )
    return tuple(read_csv(path) for path in outputs.values())


def test_barrier_of_a_bump_on_a_slope():
    """f(t) = 1 + 2 t + 4 t (1 - t): the chord is 1 + 2 t, the rise at most 1, in the middle."""
    t = path_positions(21)
    found = barrier(t, 1 + 2 * t + 4 * t * (1 - t))
    assert found.sup == pytest.approx(1) and found.argmax == 0.5 and found.midpoint == pytest.approx(1)
    assert (found.from_value, found.to_value) == (1, 3)
    assert found.highest == pytest.approx(1 + 2 * 0.75 + 4 * 0.75 * 0.25), (
        "off the middle, where the slope ends"
    )


def test_the_highest_point_may_be_off_the_middle():
    t = path_positions(5)
    found = barrier(t, np.array([0.0, 3.0, 1.0, 0.0, 0.0]))
    assert (found.sup, found.argmax, found.midpoint) == (3, 0.25, 1)


def test_a_convex_curve_has_no_barrier_and_a_negative_midpoint():
    t = path_positions(21)
    found = barrier(t, (t - 0.3) ** 2)
    assert (found.sup, found.argmax) == (0, 0)
    assert found.midpoint == pytest.approx(-0.25), "t^2 sags by t (1 - t)"


def test_a_straight_line_has_none_whatever_the_rounding():
    t = path_positions(31)
    found = barrier(t, 0.1 + (0.7 - 0.1) * t)
    assert found.sup == pytest.approx(0, abs=1e-15) and found.midpoint == pytest.approx(0, abs=1e-15)


def test_the_barrier_does_not_depend_on_the_direction():
    t = path_positions(9)
    values = np.random.default_rng(0).random(9)
    forward, backward = barrier(t, values), barrier(t, values[::-1])
    assert forward.sup == pytest.approx(backward.sup) and forward.midpoint == pytest.approx(backward.midpoint)
    assert forward.argmax == pytest.approx(1 - backward.argmax)


def test_undefined_values_stay_so():
    t = path_positions(5)
    assert barrier(t, np.array([0.0, np.inf, 1.0, 0.0, 0.0])).sup == np.inf
    found = barrier(t, np.array([0.0, 0.0, 1.0, 0.0, np.nan]))
    assert np.isnan(found.sup) and np.isnan(found.midpoint)
    assert np.isnan(barrier(t, np.array([np.inf, 0.0, 1.0, 0.0, 0.0])).sup)


def test_positions_hold_both_ends_and_the_middle():
    for points in (3, 21, 31):
        t = path_positions(points)
        assert len(t) == points and t[0] == 0 and t[-1] == 1 and t[points // 2] == 0.5
    for points in (1, 2, 20):
        with pytest.raises(ValueError, match="odd"):
            path_positions(points)
    with pytest.raises(ValueError, match=r"0, 0\.5 and 1"):
        barrier(np.linspace(0, 1, 4), np.zeros(4))


@pytest.mark.parametrize(("direction", "convex"), [(0, True), (5, False)])
def test_barrier_between_two_points_of_a_quadratic(tmp_path, direction, convex):
    """Along d, q - chord = -t (1 - t) / 2 * d^T A d, here +-lambda times the squared distance."""
    axis = bowl.ROTATION[:, direction]
    ends = [bowl.MINIMUM - 0.8 * axis, bowl.MINIMUM + 1.2 * axis]
    arguments = bowl.world(tmp_path, [np.array([np.zeros(bowl.SIZE), end]) for end in ends])
    path, barriers = evaluate(tmp_path, arguments, [(0, 1)])
    loss = barriers[(barriers["measure"] == "loss") & (barriers["split"] == "train")].iloc[0]
    middle = -bowl.EIGENVALUES[direction] * 2.0**2 / 8
    assert (middle < 0) == convex
    assert loss["midpoint"] == pytest.approx(middle, rel=1e-4)
    assert loss["sup"] == pytest.approx(max(middle, 0), rel=1e-4)
    assert loss["argmax"] == (0 if convex else 0.5)
    assert loss["from_value"] == pytest.approx(bowl.quadratic(ends[0]), rel=1e-5)
    assert loss["to_value"] == pytest.approx(bowl.quadratic(ends[1]), rel=1e-5)
    for row in path[path["split"] == "test"].itertuples():
        expected = bowl.quadratic((1 - row.t) * ends[0] + row.t * ends[1])
        assert row.loss == pytest.approx(expected, rel=1e-5) and row.error == (expected > bowl.WRONG_ABOVE)


def test_tables_of_several_pairs(tmp_path):
    draw = np.random.default_rng(0)
    arguments = bowl.world(tmp_path, [0.2 * draw.standard_normal((2, bowl.SIZE)) for _ in range(3)])
    path, barriers = evaluate(tmp_path, arguments, [(0, 2), (0, 1)], points=5)
    names = [
        *bowl.identity(),
        "to_partition",
        "to_init",
        "to_method",
        "to_seed",
        "connectivity",
        "group",
        "split",
    ]
    points = ["t", "loss", "loss_se", "error", "error_se", "samples", "loss_rise_se", "error_rise_se"]
    assert list(path) == [*names, *points, "batch_norm"]
    heights = ["sup", "argmax", "midpoint", "highest", "from_value", "to_value", "sup_se", "midpoint_se"]
    assert list(barriers) == [*names, "measure", *heights]
    assert len(path) == 2 * 2 * 5 and len(barriers) == 2 * 2 * 2
    assert barriers["to_partition"].tolist() == ["p1"] * 4 + ["p2"] * 4, "sorted by the pair's names"
    assert set(path["batch_norm"]) == {"none"}
    assert path.groupby("split")["samples"].unique().map(list).to_dict() == {"train": [40], "test": [10]}


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_the_error_of_a_rise_against_many_draws_of_samples(share):
    draw, t, everybody = np.random.default_rng(3), path_positions(5), 400
    common = draw.gamma(0.3, 2.0, everybody)  # what a sample has at every point does not blur the rise
    values = common + 0.3 * draw.standard_normal((5, 1, everybody)) * np.sqrt(common)

    def drawn():
        return values[..., draw.choice(everybody, round(share * everybody), replace=False)]

    some = [drawn() for _ in range(3000)]
    rises = [one.mean(axis=-1) - ((1 - t) * one[0].mean() + t * one[-1].mean())[:, None] for one in some]
    errors = [rise_errors(t, one, share) for one in some]
    np.testing.assert_allclose(np.mean(errors, axis=0)[1:-1], np.std(rises, axis=0)[1:-1], rtol=0.06)
    assert (rise_errors(t, some[0], share)[[0, -1]] == 0).all()
    assert (rise_errors(t, values, 1.0) == 0).all(), "all are there"


def test_the_error_of_a_rise_is_that_of_the_samples_own_rises():
    draw, t = np.random.default_rng(0), path_positions(3)
    values = draw.random((3, 2, 50))
    rises = values[1] - (values[0] + values[2]) / 2
    np.testing.assert_allclose(rise_errors(t, values, 0.0)[1], rises.std(axis=-1, ddof=1) / np.sqrt(50))
    values[1, 0, 7] = np.inf
    assert np.isnan(rise_errors(t, values, 0.5)[1, 0]) and np.isnan(rise_errors(t, values, 1.0)[1, 0])
    assert np.isnan(rise_errors(t, values[..., :1], 0.0)[1, 1])


def test_pairs_with_a_diverged_run_are_left_out(tmp_path):
    draw = np.random.default_rng(0)
    arguments = bowl.world(tmp_path, [0.2 * draw.standard_normal((3, bowl.SIZE)) for _ in range(3)])
    shorten(arguments["trajectories"][2], rounds=[0, 1])
    path, barriers = evaluate(tmp_path, arguments, [(0, 2), (0, 1)], points=3)
    assert set(path["to_partition"]) == set(barriers["to_partition"]) == {"p1"}
    columns = list(path), list(barriers)
    path, barriers = evaluate(tmp_path, arguments, [(0, 2)], points=3)
    assert (list(path), list(barriers)) == columns and path.empty and barriers.empty


def test_statistics_along_a_path_by_policy(tmp_path):
    """Interpolated ones are exact at both ends; those that are kept belong to the first end alone."""
    given = normed.world(tmp_path, 2)
    problem = open_problem(problem_of(given))
    ends = [Trajectory.open(path).state(normed.ROUNDS - 1) for path in given["trajectories"]]
    start, end = (parameters | buffers for parameters, buffers in ends)
    middle = {name: (tensor + end[name]) / 2 for name, tensor in start.items()}

    def loss(tensors):
        return plain(problem.module, tensors, {}, problem.train).loss

    path, _ = evaluate(tmp_path, given, [(0, 1)], points=3, batch_norm="interpolate")
    assert set(path["batch_norm"]) == {"interpolate"}
    along = path[path["split"] == "train"]["loss"].tolist()
    assert along == pytest.approx([loss(start), loss(middle), loss(end)], rel=1e-5)
    path, _ = evaluate(tmp_path, given, [(0, 1)], points=3, batch_norm="keep")
    kept = path[path["split"] == "train"]["loss"].tolist()
    assert kept[0] == along[0] and abs(kept[2] / along[2] - 1) > 1e-3
