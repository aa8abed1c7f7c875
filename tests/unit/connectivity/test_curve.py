"""Curves with one bend: closed forms of their points, and of the bend that is best on a quadratic."""

import math

import bowl
import normed
import numpy as np
import pytest
import ring
import torch
from stage_values import problem_of, runs_of

from fedscape.columns.csvs import read_csv
from fedscape.connectivity import bent_paths
from fedscape.connectivity.bent_paths import evaluate_curves
from fedscape.connectivity.curve import Curve, control_weights
from fedscape.connectivity.curve_training import BendTraining, learning_rate
from fedscape.connectivity.endpoints import ModelPair, RunModel
from fedscape.errors import FedscapeError
from fedscape.evaluation.problem import open_problem
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.settings.connectivity import CurveSettings

FORMS = ("bezier", "chain")
FILES = {"curve": "curve.csv", "barriers": "curve-barriers.csv", "bends": "bends.csv", "weights": "bends.npy"}
FINALS = ModelPair(RunModel(0), RunModel(1))
SHORT = CurveSettings(epochs=2, batch_size=8, points=5, lr=0.1)


def run(folder, arguments, settings=SHORT, pairs=(FINALS,), clients=()):
    """The stage's outputs by name: CSVs as frames, the bends as an array; its resume folder is gone."""
    folder.mkdir(exist_ok=True)
    evaluate_curves(
        runs=runs_of(arguments, clients, connectivity="c", group="g"),
        pairs=pairs,
        problem=problem_of(arguments),
        settings=settings,
        resume=Resume(folder / "resume", "f"),
        **{f"out_{name}": folder / file for name, file in FILES.items()},
    )
    assert not (folder / "resume").exists()
    weights = np.load(folder / FILES["weights"], allow_pickle=False)
    return {name: read_csv(folder / file) for name, file in FILES.items() if name != "weights"}, weights


def content(folder):
    return {file: (folder / file).read_bytes() for file in FILES.values()}


def on_train(frame, line):
    return frame[(frame["split"] == "train") & (frame["line"] == line)]


def sup(found, line, measure="loss"):
    rows = on_train(found["barriers"], line)
    return rows[rows["measure"] == measure]["sup"].item()


def vectors(count=3, size=7):
    return tuple(torch.from_numpy(np.random.default_rng(0).standard_normal((count, size))).float())


@pytest.mark.parametrize("form", FORMS)
def test_points_of_a_curve(form):
    first, bend, last = vectors()
    curve = Curve(form, first, bend, last)
    assert torch.equal(curve.at(0.0), first) and torch.equal(curve.at(1.0), last)
    middle = bend if form == "chain" else first / 4 + bend / 2 + last / 4
    torch.testing.assert_close(curve.at(0.5), middle)
    quarter = (first + bend) / 2 if form == "chain" else 9 / 16 * first + 6 / 16 * bend + 1 / 16 * last
    torch.testing.assert_close(curve.at(0.25), quarter)
    for t in (0.0, 0.1, 0.5, 0.8, 1.0):
        assert sum(control_weights(form, t)) == pytest.approx(1)
    nowhere = Curve(form, first, torch.full_like(bend, torch.nan), last)
    assert torch.equal(nowhere.at(0.0), first) and torch.equal(nowhere.at(1.0), last)


@pytest.mark.parametrize("form", FORMS)
def test_a_bend_in_the_middle_gives_the_segment(form):
    first, _, last = vectors()
    line = Curve.straight(form, first, last)
    for t in (0.0, 0.2, 0.5, 0.7, 1.0):
        torch.testing.assert_close(line.at(t), (1 - t) * first + t * last)
    assert line.length == pytest.approx(float((first - last).norm()), rel=1e-6)
    assert line.bend_distance == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_length_against_many_short_segments(form):
    first, bend, last = vectors()
    curve = Curve(form, first.double(), bend.double(), last.double())
    points = torch.stack([curve.at(t) for t in np.linspace(0, 1, 4001).tolist()])
    assert curve.length == pytest.approx(float(points.diff(dim=0).norm(dim=1).sum()), rel=1e-6)


def test_distance_of_the_bend_is_that_of_the_nearest_point_of_the_segment():
    first, last = torch.tensor([0.0, 0.0]), torch.tensor([4.0, 0.0])
    for bend, expected in (([1.0, 3.0], 3), ([-3.0, 4.0], 5), ([7.0, -4.0], 5)):
        assert Curve("bezier", first, torch.tensor(bend), last).bend_distance == pytest.approx(expected)
    assert Curve("chain", first, torch.tensor([0.0, 2.0]), first).bend_distance == pytest.approx(2)


def test_rate_of_garipov_et_al():
    rates = [learning_rate(0.2, progress) for progress in (0.0, 0.5, 0.7, 0.9, 0.99)]
    assert rates == pytest.approx([0.2, 0.2, 0.2 * (1 - 0.99 / 2), 0.002, 0.002])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_gradient_of_the_bend_is_that_of_the_loss_through_the_curve(tmp_path, form, decay):
    """Against autograd through the points of the curve, and 2 t (1 - t) times the gradient at the point."""
    problem = open_problem(problem_of(bowl.world(tmp_path, [np.zeros((1, bowl.SIZE))])))
    training = BendTraining(problem, CurveSettings(form=form, weight_decay=decay))
    first, bend, last = vectors(size=bowl.SIZE)
    curvature, minimum = (
        torch.tensor(value, dtype=torch.float32) for value in (bowl.CURVATURE, bowl.MINIMUM)
    )
    for t in (0.2, 0.5, 0.9):
        found = training.gradient(Curve(form, first, bend, last), t, torch.arange(8))
        free = bend.clone().requires_grad_()
        point = Curve(form, first, free, last).at(t)
        loss = 0.5 * (point - minimum) @ curvature @ (point - minimum) + decay / 2 * point.square().sum()
        (expected,) = torch.autograd.grad(loss, free)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        weight = 2 * t * (1 - t) if form == "bezier" else 1 - abs(2 * t - 1)
        by_hand = curvature @ (point - minimum) + decay * point
        torch.testing.assert_close(found, weight * by_hand.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("form", "share"), [("bezier", -0.75), ("chain", -0.25)])
def test_the_best_bend_on_a_quadratic(tmp_path, form, share):
    """For 1/2 w^T H w the mean loss is least at -3/4 (w0 + w1) (Bezier), -1/4 (w0 + w1) (chain)."""
    # Where the quadratic bends upwards most; along its last axis, downwards, rounding would grow in more steps.
    axes = bowl.ROTATION[:, :3].T
    offsets = [0.5 * axes[0] + 0.6 * axes[1] - 0.4 * axes[2], 0.3 * axes[0] + 0.2 * axes[1] + 0.5 * axes[2]]
    ends = [np.array([np.zeros(bowl.SIZE), bowl.MINIMUM + offset]) for offset in offsets]
    settings = CurveSettings(form=form, epochs=80, batch_size=4, lr=0.1, momentum=0.5, points=5)
    found, weights = run(tmp_path / "out", bowl.world(tmp_path, ends), settings)
    expected = share * sum(offsets)
    assert np.linalg.norm(weights[0] - bowl.MINIMUM - expected) < 0.08 * np.linalg.norm(expected)
    row = found["bends"].iloc[0]
    assert row["kept"] == "trained" and row["steps"] == 800 and row["trained_loss"] < row["straight_loss"]
    assert row["straight_length"] == pytest.approx(np.linalg.norm(offsets[0] - offsets[1]), rel=1e-5)
    assert row["straight_sup"] == row["trained_sup"] == 0, "a quadratic has no barrier to begin with"


@pytest.mark.parametrize("form", FORMS)
def test_a_curve_goes_around_a_hill_that_the_straight_line_crosses(tmp_path, form):
    settings = CurveSettings(form=form, epochs=100, batch_size=10, lr=0.02, points=21)
    found, weights = run(tmp_path / "out", ring.world(tmp_path, [0.2, math.pi - 0.2]), settings)
    straight, curve = sup(found, "straight"), sup(found, "curve")
    # The straight line crosses it at height sin(0.2).
    assert straight == pytest.approx((math.sin(0.2) ** 2 - 1) ** 2, rel=1e-4)
    assert curve < 0.3 * straight
    assert found["bends"]["kept"].item() == "trained" and weights[0, 1] > 1
    assert found["bends"]["length"].item() > found["bends"]["straight_length"].item()
    for line in ("straight", "curve"):
        ends = on_train(found["curve"], line).set_index("t")["loss"][[0.0, 1.0]]
        assert ends.tolist() == pytest.approx([ring.FLOOR] * 2, rel=1e-3), (
            "the ends are the models themselves"
        )
    rows = on_train(found["curve"], "curve").set_index("t")["loss"]
    expected = (Curve(form, *(torch.tensor(v, dtype=torch.float64) for v in (
        [math.cos(0.2), math.sin(0.2)], weights[0], [-math.cos(0.2), math.sin(0.2)]))).at(0.25))  # fmt: skip
    assert rows[0.25] == pytest.approx(ring.FLOOR + (float(expected.square().sum()) - 1) ** 2, rel=1e-3)


def test_where_training_makes_it_worse_the_straight_line_is_kept(tmp_path):
    for lr in (5.0, 1000.0):  # the bend is thrown far away, or further than numbers go
        settings = CurveSettings(epochs=3, batch_size=10, lr=lr, points=5)
        found, weights = run(tmp_path / "out", ring.world(tmp_path / f"{lr}", [0.2, math.pi - 0.2]), settings)
        row = found["bends"].iloc[0]
        assert row["kept"] == "straight" and not row["trained_sup"] <= row["straight_sup"]
        assert row["length"] == row["straight_length"] and row["bend_distance"] == pytest.approx(0, abs=1e-6)
        np.testing.assert_allclose(weights[0], [0, math.sin(0.2)], atol=1e-6)
        for name in ("curve", "barriers"):
            straight, curve = (
                found[name][found[name]["line"] == line].drop(columns="line").reset_index(drop=True)
                for line in ("straight", "curve")
            )
            assert straight.equals(curve)


def test_batch_norm_is_measured_anew_all_along_and_both_ends_are_the_same_on_both_lines(tmp_path):
    given = normed.world(tmp_path, 2)
    found, _ = run(tmp_path / "out", given)
    curve = found["curve"]
    assert set(curve["batch_norm"]) == {"recalibrate"}
    for t in (0.0, 1.0):
        ends = curve[curve["t"] == t].sort_values(["split", "line"])
        assert ends["loss"].tolist()[::2] == ends["loss"].tolist()[1::2]
    inner = on_train(curve, "curve")["loss"].to_numpy() - on_train(curve, "straight")["loss"].to_numpy()
    assert (inner[1:-1] != 0).all() and sup(found, "curve") <= sup(found, "straight")
    with pytest.raises(FedscapeError, match="batches of 1 sample have no statistics"):
        run(tmp_path / "one", given, CurveSettings(batch_size=1))


def test_clients_and_rounds_are_joined_and_what_is_missing_is_left_out(tmp_path):
    given = normed.world(tmp_path, 1)
    pairs = [
        ModelPair(RunModel(0, 1, 0), RunModel(0, 1, 9)),  # there is no client 9
        ModelPair(RunModel(0, 1, 0), RunModel(0, 1, 2)),
        ModelPair(RunModel(0, 1), RunModel(0, 2)),
    ]
    found, weights = run(tmp_path / "out", given, pairs=pairs, clients=given["clients"])
    bends = found["bends"]
    assert bends["bend"].tolist() == [1, 2] and bends["client"].tolist() == [0, -1]
    assert bends[["round", "to_round", "to_client"]].to_numpy().tolist() == [[1, 1, 2], [1, 2, -1]]
    assert np.isnan(weights[0]).all() and np.isfinite(weights[1:]).all() and weights.dtype == np.float32
    none, weights = run(tmp_path / "none", given, pairs=pairs[:1], clients=given["clients"])
    assert all(frame.empty for frame in none.values()) and list(none["curve"]) == list(found["curve"])
    assert weights.shape[0] == 1 and np.isnan(weights).all()


def test_pairs_do_not_depend_on_each_other_and_the_seed_matters(tmp_path):
    given = normed.world(tmp_path, 3)
    pairs = [FINALS, ModelPair(RunModel(1), RunModel(2))]
    _, both = run(tmp_path / "both", given, pairs=pairs)
    _, alone = run(tmp_path / "alone", given, pairs=pairs[1:])
    assert (both[1] == alone[0]).all()
    other = CurveSettings(epochs=2, batch_size=8, points=5, lr=0.1, order_seed=1)
    _, seeded = run(tmp_path / "other", given, other, pairs=pairs)
    assert (seeded != both).any()


class Killed(BaseException):
    """A process that is gone."""


def killed_at(monkeypatch, number, before):
    """Kill the process, so to speak, just before this commit or just after it; the bend is kept at each step."""
    done, original = [], ResumeFolder.commit
    monkeypatch.setattr(bent_paths, "COMMIT_SECONDS", 0)

    def dies(self, *given, **how):
        if before and len(done) == number:
            raise Killed
        original(self, *given, **how)
        done.append(given)
        if not before and len(done) == number + 1:
            raise Killed

    monkeypatch.setattr(ResumeFolder, "commit", dies)


# Two pairs of 10 steps each: a commit for each step, and one for the rows of each pair.
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("number", [0, 1, 4, 9, 10, 11, 15, 20])
def test_a_killed_job_ends_with_the_same_bytes(tmp_path, monkeypatch, number, before):
    given = normed.world(tmp_path, 3)
    pairs = [FINALS, ModelPair(RunModel(0), RunModel(2))]
    run(tmp_path / "whole", given, pairs=pairs)
    with monkeypatch.context() as patch:
        killed_at(patch, number, before)
        with pytest.raises(Killed):
            run(tmp_path / "killed", given, pairs=pairs)
    steps, advance = [], BendTraining.advance
    monkeypatch.setattr(BendTraining, "advance", lambda *given: steps.append(given) or advance(*given))
    run(tmp_path / "killed", given, pairs=pairs)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    commits = number + (not before)
    assert len(steps) == 20 - (commits - (commits > 10)), "nothing that was kept is trained again"


def test_a_job_that_is_told_to_stop_keeps_the_bend_and_says_where_it_is(tmp_path, monkeypatch):
    given = normed.world(tmp_path, 2)
    run(tmp_path / "whole", given)
    with monkeypatch.context() as patch:
        patch.setattr(bent_paths, "COMMIT_SECONDS", 0)
        patch.setattr(
            ResumeFolder, "stop_requested", lambda self: "SIGTERM" if self.progress.get("training") else None
        )
        with pytest.raises(SystemExit, match="run again to continue from step 1 of 10 of curve 1 of 1"):
            run(tmp_path / "stopped", given)
    run(tmp_path / "stopped", given)
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")


def test_a_kept_bend_that_is_cut_off_is_trained_afresh(tmp_path, monkeypatch):
    given = normed.world(tmp_path, 2)
    run(tmp_path / "whole", given)
    with monkeypatch.context() as patch:
        killed_at(patch, 3, before=False)
        with pytest.raises(Killed):
            run(tmp_path / "killed", given)
    kept = next((tmp_path / "killed" / "resume").glob("training-*-4.npy"))
    kept.write_bytes(kept.read_bytes()[:-10])
    run(tmp_path / "killed", given)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
