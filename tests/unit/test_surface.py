"""Surfaces: a quadratic known in closed form, grids, resuming after a stop."""

import bowl
import numpy as np
import pytest
import torch
from test_planes import make, walk

from fedscape.files import read_csv
from fedscape.landscape import surface
from fedscape.landscape.surface import evaluate_surface, grid_axes
from fedscape.models.build import build_model
from fedscape.models.evaluate import evaluate as plain
from fedscape.models.evaluate import recalibrated
from fedscape.models.layout import flatten, layout_of, parameters_of
from fedscape.models.subject import open_subject
from fedscape.resume import ResumeFolder


def evaluate(tmp_path, name="surface.csv", grid=(5, 3), **changes):
    """The surface over the plane that `make` wrote."""
    arguments = {
        "plane_file": tmp_path / "plane.safetensors",
        "markers_file": tmp_path / "markers.csv",
        "grid": grid,
        "margin": 0.3,
        "model": "bowl",
        "model_settings": {},
        "dataset_folder": tmp_path / "data",
        "partition": tmp_path / "partition.npz",
        "identity": bowl.identity(partition="*"),
        "plane": "p",
        "group": "g",
        "samples": None,
        "seed": 0,
        "batch_norm": "keep",
        "device": "cpu",
        "resume_folder": tmp_path / "resume",
        "fingerprint": "f",
        "out": tmp_path / name,
    }
    evaluate_surface(**(arguments | changes))
    return read_csv(tmp_path / name)


def test_surface_of_a_rotated_bowl_on_a_grid_that_is_not_square(tmp_path):
    plane, _ = make(tmp_path, [walk(0, 6)])
    found = evaluate(tmp_path, grid=(6, 4))
    assert len(found) == 24 and found["i"].max() == 5 and found["j"].max() == 3
    for index, coordinate in (("i", "x"), ("j", "y")):
        along = found.groupby(index)[coordinate]
        assert (along.nunique() == 1).all() and along.first().is_monotonic_increasing
    centre, directions = plane.centre.double().numpy(), plane.directions.double().numpy()
    for row in found.itertuples():
        theta = centre + row.x * directions[0] + row.y * directions[1]
        assert row.loss == pytest.approx(bowl.quadratic(theta), rel=1e-5)
        assert row.error == (bowl.quadratic(theta) > bowl.WRONG_ABOVE)
    np.testing.assert_allclose(found["loss_se"], 0, atol=1e-6)
    assert set(found["samples"]) == {40} and set(found["batch_norm"]) == {"none"}


def test_surface_at_a_marker_in_the_plane_is_its_true_loss(tmp_path):
    """Three finals span their plane; a grid of two markers has its corners at their bounding box."""
    plane, markers = make(tmp_path, [walk(seed, 2) for seed in range(3)], kind="finals")
    network = bowl.Bowl()
    for row in markers.itertuples():
        theta = plane.at(row.x, row.y)
        torch.nn.utils.vector_to_parameters(theta, network.parameters())
        logits = network(torch.zeros(1))
        loss = torch.nn.functional.cross_entropy(logits, torch.zeros(1, dtype=torch.long))
        assert row.loss == pytest.approx(loss.item(), rel=1e-5)
        found = evaluate(tmp_path, grid=3, margin=0.0, markers_file=single(tmp_path, row))
        middle = found[(found["i"] == 1) & (found["j"] == 1)].iloc[0]
        assert middle["loss"] == pytest.approx(row.loss, rel=1e-5)


def single(tmp_path, row):
    """A markers file with one marker, about which the grid is centred."""
    frame = read_csv(tmp_path / "markers.csv")
    frame[frame["partition"] == row.partition].to_csv(tmp_path / "single.csv", index=False)
    return tmp_path / "single.csv"


def test_recalibration_happens_at_every_point(tmp_path):
    network = build_model("resnet20", {}, (1, 4, 4), 2)
    start, _, _ = flatten(network.state_dict(), layout_of(network))
    rows = start + 0.1 * torch.randn(3, len(start), generator=torch.Generator().manual_seed(0))
    path = tmp_path / "trajectory.safetensors"
    bowl.write_models(path, network, rows.numpy())
    plane, _ = make(tmp_path, [np.zeros((1, bowl.SIZE))], model="resnet20", trajectories=[path])
    changes = {"model": "resnet20", "grid": 2, "batch_norm": "recalibrate"}
    found = evaluate(tmp_path, **changes)
    assert set(found["batch_norm"]) == {"recalibrate"}
    data = open_subject("resnet20", {}, tmp_path / "data", tmp_path / "partition.npz", None, 0, "cpu").train
    for row in found.itertuples():
        parameters = parameters_of(plane.at(row.x, row.y), plane.layout)
        buffers = recalibrated(network, parameters, plane.buffers, data)
        assert row.loss == pytest.approx(plain(network, parameters, buffers, data).loss, rel=1e-6)
    kept = evaluate(tmp_path, **changes | {"batch_norm": "keep"})
    assert (abs(kept["loss"] - found["loss"]) > 1e-3).all(), "the start's statistics are far off"


def test_columns_of_the_table(tmp_path):
    make(tmp_path, [walk(0, 3), walk(1, 3)])
    found = evaluate(tmp_path)
    places = ["plane", "group", "i", "j", "x", "y"]
    measures = ["loss", "loss_se", "error", "error_se", "samples", "batch_norm"]
    assert list(found) == [*bowl.identity(), *places, *measures]
    assert set(found["partition"]) == {"*"}


def test_a_stopped_surface_continues_to_the_same_bytes(tmp_path, monkeypatch):
    make(tmp_path, [walk(0, 5)])
    evaluate(tmp_path, "whole.csv", grid=5)
    counted = []
    real = surface.evaluate
    monkeypatch.setattr(surface, "evaluate", lambda *args: counted.append(1) or real(*args))
    for stop_after in (7, 12):
        monkeypatch.setattr(
            ResumeFolder,
            "stop_requested",
            lambda self, n=stop_after: "SIGTERM" if len(counted) == n else None,
        )
        with pytest.raises(SystemExit, match=f"point {stop_after} of 25"):
            evaluate(tmp_path, "parts.csv", grid=5)
        assert not (tmp_path / "parts.csv").exists()
    monkeypatch.undo()
    monkeypatch.setattr(surface, "evaluate", lambda *args: counted.append(1) or real(*args))
    evaluate(tmp_path, "parts.csv", grid=5)
    assert len(counted) == 25, "no point is evaluated twice"
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / "resume").exists()


def test_a_killed_surface_continues_from_its_last_column(tmp_path, monkeypatch):
    make(tmp_path, [walk(0, 5)])
    evaluate(tmp_path, "whole.csv", grid=5)
    real, counted = surface.evaluate, []

    def killed(*args):
        if len(counted) == 13:
            raise KeyboardInterrupt
        counted.append(1)
        return real(*args)

    monkeypatch.setattr(surface, "evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path, "parts.csv", grid=5)
    monkeypatch.setattr(surface, "evaluate", lambda *args: counted.append(1) or real(*args))
    evaluate(tmp_path, "parts.csv", grid=5)
    assert len(counted) == 13 + 15, "ten of thirteen points were committed"
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("grid", [(7, 7), (9, 4), (2, 11)])
def test_grid_covers_the_markers_with_a_square_step(grid):
    x, y = np.array([-2.0, 6.0, 1.0]), np.array([0.0, 1.0, 0.5])
    xs, ys = grid_axes(x, y, grid, margin=0.25)
    assert (len(xs), len(ys)) == grid
    steps = np.concatenate([np.diff(xs), np.diff(ys)])
    np.testing.assert_allclose(steps, steps[0])
    assert xs[0] <= -4 + 1e-9 and xs[-1] >= 8 - 1e-9, "a quarter of the larger side, 8, on every side"
    assert ys[0] <= -2 + 1e-9 and ys[-1] >= 3 - 1e-9
    tight = max(12 / (grid[0] - 1), 5 / (grid[1] - 1))
    assert steps[0] == pytest.approx(tight), "and no larger than that"
    np.testing.assert_allclose((xs[0] + xs[-1], ys[0] + ys[-1]), (4, 1))


def test_a_finer_grid_contains_the_coarser_one():
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((2, 8))
    for coarse, fine in zip(grid_axes(x, y, (6, 9), 0.3), grid_axes(x, y, (11, 17), 0.3), strict=True):
        np.testing.assert_array_equal(coarse, fine[::2])


def test_markers_at_one_place_still_have_a_grid():
    xs, ys = grid_axes(np.zeros(2), np.zeros(2), 3, margin=0.0)
    np.testing.assert_array_equal(xs, [-0.5, 0, 0.5])
    np.testing.assert_array_equal(ys, xs)


def test_impossible_grids_are_refused():
    for grid in (1, (3, 1), (3, 3, 3)):
        with pytest.raises(ValueError, match="grid"):
            grid_axes(np.zeros(2), np.ones(2), grid, 0.3)
