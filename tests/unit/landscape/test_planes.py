"""Planes: principal directions against a float64 SVD, projections against least squares, markers' losses."""

from types import SimpleNamespace

import bowl
import numpy as np
import pytest
import torch
from plane_arguments import plane_arguments

from fedscape.checkpoints import blocks
from fedscape.checkpoints.checkpoint import Checkpoints
from fedscape.checkpoints.layout import Layout, layout_of
from fedscape.checkpoints.run_files import RunFiles
from fedscape.checkpoints.writer import shorten
from fedscape.columns.csvs import read_csv
from fedscape.columns.planes import MARKER_MEASURES
from fedscape.errors import FedscapeError
from fedscape.landscape.make_plane import make_plane
from fedscape.landscape.material import Material
from fedscape.landscape.pca import principal_directions
from fedscape.landscape.plane import Plane, open_plane, save_plane
from fedscape.landscape.planes import finals, trajectory


def walk(seed, kept, size=bowl.SIZE, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal((kept, size)).cumsum(axis=0)


def subspace_gap(directions, oracle):
    """Sine of the largest angle between two planes given by orthonormal rows."""
    return np.linalg.norm(oracle - oracle @ directions.T @ directions, 2)


def plane_of(folder, given, kind="trajectory", settings=None):
    """The plane and the markers of the runs in `given`."""
    make_plane(**plane_arguments(folder, given, kind, settings))
    return open_plane(folder / "plane.safetensors"), read_csv(folder / "markers.csv")


def make(tmp_path, runs, kind="trajectory", settings=None, **changes):
    return plane_of(tmp_path, bowl.world(tmp_path, runs) | changes, kind, settings)


@pytest.mark.parametrize("bytes_per_block", [2**20, 8 * 30 * 7])
def test_directions_are_the_leading_right_singular_vectors(monkeypatch, bytes_per_block):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", bytes_per_block)
    rows = np.random.default_rng(3).standard_normal((30, 200)) * np.linspace(3, 1, 30)[:, None]
    weights = np.linspace(0.5, 2, 30)
    directions, explained, mixture = principal_directions(
        lambda start, stop: rows[:, start:stop], weights, 200
    )
    _, singular, right = np.linalg.svd(np.sqrt(weights)[:, None] * rows, full_matrices=False)
    found = directions.double().numpy()
    np.testing.assert_allclose(np.abs(np.sum(found * right[:2], axis=1)), 1, atol=1e-7)
    np.testing.assert_allclose(explained, (singular**2 / np.sum(singular**2))[:2], rtol=1e-10)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-7)
    np.testing.assert_allclose(mixture @ rows, found, atol=1e-7)


def test_the_row_farthest_along_a_direction_is_on_its_left():
    rows = np.array([[5.0, 0, 0], [0, -3.0, 0], [0, 1.0, 0]])
    for flipped in (rows, -rows):
        directions, _, mixture = principal_directions(
            lambda start, stop, flipped=flipped: flipped[:, start:stop], np.ones(3), 3
        )
        np.testing.assert_allclose(mixture @ flipped, directions, atol=1e-7)
        coordinates = flipped @ directions.double().numpy().T
        assert coordinates[0, 0] == pytest.approx(-5) and coordinates[1, 1] == pytest.approx(-3)


def test_rows_that_are_the_same_span_no_plane():
    with pytest.raises(
        FedscapeError, match="one and the same, so no direction lies between them; use kind random"
    ):
        principal_directions(lambda start, stop: np.zeros((3, 4))[:, start:stop], np.ones(3), 4)


def test_of_two_equally_far_rows_the_first_is_on_the_left():
    rows = np.array([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]])
    directions, explained, mixture = principal_directions(
        lambda start, stop: rows[:, start:stop], np.ones(2), 3
    )
    assert (rows @ directions.double().numpy()[0])[0] == pytest.approx(-np.sqrt(14))
    assert explained == pytest.approx((1, 0)), "two models span a line; the second direction is arbitrary"
    assert mixture[1].tolist() == [0, 0], "so no buffers move along it"
    assert directions[0] @ directions[1] == pytest.approx(0, abs=1e-6)
    assert torch.linalg.vector_norm(directions[1]) == pytest.approx(1)


@pytest.mark.parametrize("centre", ["last", "mean"])
def test_trajectory_plane_against_svd_of_all_rows(tmp_path, centre):
    """Three rounds of one run weigh as much as seven of the other: rows are divided by sqrt(rounds)."""
    runs = [walk(0, 7), walk(1, 3)]
    plane, markers = make(tmp_path, runs, settings={"centre": centre})
    stored = [np.float32(rows).astype(np.float64) for rows in runs]
    origin = stored[0][-1] if centre == "last" else np.mean([rows.mean(axis=0) for rows in stored], axis=0)
    weighted = np.concatenate([(rows - origin) / np.sqrt(len(rows)) for rows in stored])
    oracle = np.linalg.svd(weighted)[2][:2]
    assert subspace_gap(plane.directions.double().numpy(), oracle) < 1e-6
    np.testing.assert_array_equal(plane.centre, stored[0][-1])
    assert len(markers) == 10
    singular = np.linalg.svd(weighted)[1]
    np.testing.assert_allclose(markers["explained_x"], singular[0] ** 2 / np.sum(singular**2), rtol=1e-6)


def test_finals_plane_against_svd_around_the_mean(tmp_path):
    runs = [walk(seed, 4) for seed in range(4)]
    plane, markers = make(tmp_path, runs, kind="finals")
    last = np.float32([rows[-1] for rows in runs]).astype(np.float64)
    np.testing.assert_allclose(plane.centre, last.mean(axis=0), rtol=1e-6)
    oracle = np.linalg.svd(last - last.mean(axis=0))[2][:2]
    assert subspace_gap(plane.directions.double().numpy(), oracle) < 1e-6
    assert markers["round"].tolist() == [3, 3, 3, 3] and markers["partition"].tolist() == [
        "p0",
        "p1",
        "p2",
        "p3",
    ]


def test_three_finals_lie_in_their_plane(tmp_path):
    _, markers = make(tmp_path, [walk(seed, 2) for seed in range(3)], kind="finals")
    assert markers["residual"].max() < 1e-6
    np.testing.assert_allclose(markers["loss_at_projection"], markers["loss"], rtol=1e-5)


def test_markers_hold_the_true_loss_and_the_loss_below_them(tmp_path):
    runs = [walk(0, 5), walk(5, 4)]
    plane, markers = make(tmp_path, runs)
    centre, directions = plane.centre.double().numpy(), plane.directions.double().numpy()
    for row in markers.itertuples():
        theta = np.float32(runs[int(row.partition[1])][row.round]).astype(np.float64)
        coordinates = np.linalg.lstsq(directions.T, theta - centre)[0]
        below = centre + coordinates @ directions
        np.testing.assert_allclose((row.x, row.y), coordinates, atol=1e-7)
        if np.any(theta != centre):
            residual = np.linalg.norm(theta - below) / np.linalg.norm(theta - centre)
            assert row.residual == pytest.approx(residual, abs=1e-6)
        assert row.loss == pytest.approx(bowl.quadratic(theta), rel=1e-5)
        assert row.loss_at_projection == pytest.approx(bowl.quadratic(below), rel=1e-5)
        assert row.error == (bowl.quadratic(theta) > bowl.WRONG_ABOVE)
        assert row.error_at_projection == (bowl.quadratic(below) > bowl.WRONG_ABOVE)


def test_projection_is_least_squares_for_any_two_directions():
    draw = np.random.default_rng(4)
    directions, centre, theta = (torch.from_numpy(draw.standard_normal(n)).float() for n in ((2, 9), 9, 9))
    none = torch.empty(0)
    layout = Layout((("w", (9,)),), (), ())
    plane = Plane(layout, centre, directions, none, none.long(), torch.empty(2, 0), "models")
    x, y, residual = plane.project(theta)
    offset = (theta.double() - centre.double()).numpy()
    oracle, squares, *_ = np.linalg.lstsq(directions.double().numpy().T, offset)
    np.testing.assert_allclose((x, y), oracle, rtol=1e-10)
    assert residual == pytest.approx(np.sqrt(squares[0]) / np.linalg.norm(offset), rel=1e-10)
    assert plane.project(plane.at(2.0, -3.0)) == pytest.approx((2, -3, 0), abs=1e-6)
    assert plane.project(centre) == (0, 0, 0)


def test_finals_average_float_buffers_and_keep_counters(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.BatchNorm2d(1))
    paths = []
    for number, mean in enumerate((1.0, 2.0, 6.0)):
        network[1].running_mean.fill_(mean)
        network[1].num_batches_tracked.fill_(5)
        paths.append(tmp_path / str(number) / "trajectory.safetensors")
        bowl.write_models(paths[-1], network, walk(number, 2, size=4))
    problem = SimpleNamespace(layout=layout_of(network))
    material = Material(problem, Checkpoints.open(network, [RunFiles({}, path) for path in paths]), seed=0)
    buffers = finals.plane(material, finals.Settings()).buffers
    assert buffers["1.running_mean"].item() == 3 and buffers["1.num_batches_tracked"].item() == 5
    buffers = trajectory.plane(material, trajectory.Settings()).buffers
    assert buffers["1.running_mean"].item() == 1, "those of the reference's final model"


def test_plane_file_round_trip_and_a_cut_off_file(tmp_path):
    plane, _ = make(tmp_path, [walk(0, 4)])
    save_plane(tmp_path / "again.safetensors", plane)
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "plane.safetensors").read_bytes()
    whole = (tmp_path / "plane.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-3])
    with pytest.raises(FedscapeError, match=r"cut\.safetensors"):
        open_plane(tmp_path / "cut.safetensors")


def test_models_of_another_kind_are_named(tmp_path):
    with pytest.raises(FedscapeError, match=r"run0.*6 parameters"):
        make(tmp_path, [walk(0, 3)], model="convnet")


def test_a_diverged_run_is_left_out_with_a_note_and_a_row(tmp_path, caplog):
    given = bowl.world(tmp_path, [walk(seed, 4) for seed in range(3)])
    shorten(given["trajectories"][0], rounds=[0, 1])
    _, markers = plane_of(tmp_path, given)
    columns = list(markers)
    assert markers["partition"].tolist() == ["p0"] + ["p1"] * 4 + ["p2"] * 4
    assert "diverged and is left out" in caplog.text
    first = markers.iloc[0]
    assert first["role"] == "diverged" and first["round"] == 1
    assert first[MARKER_MEASURES].isna().all() and markers.loc[1:, "loss"].notna().all()
    own = markers[markers["partition"] == "p1"]
    assert (own["distance_to_reference"] == 0).all(), "the first finite run is the reference"
    for path in given["trajectories"][1:]:
        shorten(path, rounds=[0, 1])
    plane, markers = plane_of(tmp_path, given)
    assert plane is None
    assert list(markers) == columns and set(markers["axes"]) == {"pca"}
    assert markers["role"].tolist() == ["diverged"] * 3 and markers["partition"].tolist() == [
        "p0",
        "p1",
        "p2",
    ]
    assert markers[[*MARKER_MEASURES, "client", "point", "explained_x"]].isna().all(axis=None)
    assert "all its runs diverged" in caplog.text


def test_columns_of_the_markers_and_their_order(tmp_path):
    _, markers = make(tmp_path, [walk(0, 3), walk(1, 2)])
    assert list(markers) == [
        *bowl.identity(),
        *("plane", "group", "round", "role", "client", "point", "x", "y", "residual"),
        *("loss", "loss_under_policy", "loss_at_projection", "error", "error_at_projection"),
        *("own_loss", "own_loss_at_start", "distance_to_reference"),
        *("distance_to_reference_path", "distance_to_reference_end"),
        *("explained_x", "explained_y", "curvature_x", "curvature_y"),
        *("bottom_x", "bottom_y", "bottom_loss", "bottom_shift", "axes", "batch_norm", "samples"),
    ]
    assert set(markers["role"]) == {"global"} and set(markers["axes"]) == {"pca"}
    assert set(markers["samples"]) == {40} and set(markers["batch_norm"]) == {"none"}
    assert markers[["client", "point", "own_loss", "curvature_x"]].isna().all(axis=None)


def test_distance_to_the_reference_after_the_same_round(tmp_path):
    runs = [walk(0, 3), walk(1, 4)]
    _, markers = make(tmp_path, runs)
    stored = [np.float32(rows).astype(np.float64) for rows in runs]
    expected = [0, 0, 0, *np.linalg.norm(stored[1][:3] - stored[0], axis=1), np.nan]
    np.testing.assert_allclose(markers["distance_to_reference"], expected, rtol=1e-8)
