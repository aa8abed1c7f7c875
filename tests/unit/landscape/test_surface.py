"""Surfaces: a quadratic known in closed form, clients' own losses, batch norm, precision, where points lie."""

import bowl
import numpy as np
import pytest
import torch
from surface_helpers import CLIENT_SIZES, Linear, bowl_plane, lay, linear_plane, surface

from fedscape.checkpoints.layout import buffers_of, parameters_of
from fedscape.errors import FedscapeError
from fedscape.evaluation.batch_norm import recalibrated
from fedscape.evaluation.evaluate import EvaluationSet, evaluate
from fedscape.evaluation.problem import ProblemSpec, open_problem
from fedscape.landscape.grid import box_around, grid_axes
from fedscape.landscape.plane import save_plane
from fedscape.models.build import build_model
from fedscape.plugins import Plugin


def test_surface_of_a_rotated_bowl_on_a_grid_that_is_not_square(tmp_path):
    plane = bowl_plane(tmp_path, spread=0.3)
    found = surface(tmp_path, grid=(6, 4))
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


def test_columns_of_the_table(tmp_path):
    bowl_plane(tmp_path)
    found = surface(tmp_path)
    places = ["plane", "group", "client", "i", "j", "x", "y"]
    measures = ["loss", "loss_se", "error", "error_se", "samples", "batch_norm", "precision", "compiled"]
    assert list(found) == [
        *bowl.identity(), *places, *measures, "interpolated", "interpolation_error", "axes"
    ]  # fmt: skip
    assert set(found["partition"]) == {"*"} and set(found["axes"]) == {"models"}
    assert not found["interpolated"].any()
    assert found[["client", "interpolation_error"]].isna().all(axis=None)


def test_losses_of_clients_equal_separate_passes(tmp_path):
    plane, parts = linear_plane(tmp_path)
    found = surface(tmp_path, model="linear", client_losses=True)
    assert found["client"].isna().sum() == 15 and found["client"].isna()[:15].all(), "all samples first"
    assert list(found["client"][15:]) == [0] * 15 + [1] * 15 + [2] * 15
    data = open_problem(ProblemSpec(Plugin("linear"), tmp_path / "data", tmp_path / "partition.npz")).train
    for row in found.itertuples():
        part = slice(None) if np.isnan(row.client) else torch.from_numpy(parts[int(row.client)])
        own = EvaluationSet(data.inputs[part], data.labels[part], data.mean, data.std)
        alone = evaluate(
            Linear(16, 3), parameters_of(plane.at(row.x, row.y), plane.layout), {}, own
        )  # fmt: skip
        assert row.samples == alone.samples
        for measure in ("loss", "loss_se", "error", "error_se"):
            assert getattr(row, measure) == pytest.approx(getattr(alone, measure), rel=1e-5, abs=1e-7)
    assert {sum(CLIENT_SIZES) + 3} == set(found["samples"][:15])


def test_clients_weighted_by_their_samples_make_the_union(tmp_path):
    _, parts = linear_plane(tmp_path)
    everyones = {
        "train": np.sort(np.concatenate(parts)),
        "validation": np.zeros(0, int),
        "test": np.arange(4),
    }
    offsets = np.cumsum([0, *CLIENT_SIZES])
    np.savez(tmp_path / "partition.npz", **everyones, indices=np.concatenate(parts), offsets=offsets)
    found = surface(tmp_path, model="linear", client_losses=True).set_index(["i", "j"])
    union, clients = found[found["client"].isna()], found[found["client"].notna()]
    for measure in ("loss", "error"):
        total = (clients[measure] * clients["samples"]).groupby(["i", "j"]).sum()
        np.testing.assert_allclose(total / sum(CLIENT_SIZES), union[measure], rtol=1e-7)
    alone = surface(tmp_path, "alone.csv", model="linear", fingerprint="alone").set_index(["i", "j"])
    np.testing.assert_allclose(alone["loss"], union["loss"], rtol=1e-8)


def test_a_client_without_a_sample_in_the_subset_has_empty_measures(tmp_path):
    linear_plane(tmp_path)
    found = surface(tmp_path, model="linear", client_losses=True, samples=3, seed=1, coarse=2, grid=5)
    sizes = found.groupby("client")["samples"].first()
    assert 0 in set(sizes), "three samples leave somebody without; take another seed"
    for client, size in sizes.items():
        rows = found[found["client"] == client]
        assert rows["loss"].isna().all() if size == 0 else rows["loss"].notna().all()
    assert found["interpolated"].any(), "a client without samples leaves the others' surfaces as they are"


def test_each_batch_norm_policy_at_every_point(tmp_path):
    bowl.world(tmp_path, [])
    torch.manual_seed(0)
    network = build_model("resnet20", {}, (1, 4, 4), 2)
    changes = {"model": "resnet20", "grid": 2, "margin": 0.0}
    plane = lay(tmp_path, network, spread=0.02)
    problem = open_problem(ProblemSpec(Plugin("resnet20"), tmp_path / "data", tmp_path / "partition.npz"))
    for policy in ("keep", "interpolate", "recalibrate"):
        found = surface(tmp_path, **changes, batch_norm=policy, fingerprint=policy)
        assert set(found["batch_norm"]) == {policy}
        for row in found.itertuples():
            parameters = parameters_of(plane.at(row.x, row.y), plane.layout)
            mixed = plane.floats + row.x * plane.buffer_directions[0] + row.y * plane.buffer_directions[1]
            buffers = {
                "keep": plane.buffers,
                "interpolate": buffers_of(mixed, plane.counters, plane.layout),
                "recalibrate": recalibrated(network, parameters, plane.buffers, problem.train),
            }
            expected = evaluate(network, parameters, buffers[policy], problem.train)
            assert row.loss == pytest.approx(expected.loss, rel=1e-6)
            others = {evaluate(network, parameters, one, problem.train).loss for one in buffers.values()}
            assert len(others) == 3, "the policies differ here"


def test_half_precision_is_recorded(tmp_path):
    plane, _ = linear_plane(tmp_path)
    found = surface(tmp_path, model="linear", precision="bf16")
    assert set(found["precision"]) == {"bf16"}
    data = open_problem(ProblemSpec(Plugin("linear"), tmp_path / "data", tmp_path / "partition.npz")).train
    row = found.iloc[4]
    parameters = parameters_of(plane.at(row["x"], row["y"]), plane.layout)
    half, full = (
        evaluate(Linear(16, 3), parameters, {}, data, precision).loss for precision in ("bf16", "fp32")
    )
    assert row["loss"] == pytest.approx(half, rel=1e-8) and half != full
    whole = surface(tmp_path, "whole.csv", model="linear", fingerprint="whole")
    assert set(whole["precision"]) == {"fp32"}
    np.testing.assert_allclose(whole["loss"], found["loss"], rtol=0.03)


def test_a_plane_with_a_box_is_drawn_in_it(tmp_path):
    bowl_plane(tmp_path, box=(-0.7, 0.7, -0.1, 0.3), axes="random")
    found = surface(tmp_path, grid=(5, 4), margin=9.0)
    assert list(found["x"].unique()) == [-0.7, -0.35, 0, 0.35, 0.7]
    np.testing.assert_allclose(found["y"].unique(), np.linspace(-0.1, 0.3, 4))
    assert set(found["axes"]) == {"random"}


def test_a_box_around_the_markers_that_have_coordinates(tmp_path):
    bowl_plane(tmp_path)
    found = surface(tmp_path, grid=3, margin=0.0)
    assert list(found["x"].unique()) == [-1, 0.5, 2]
    assert list(found["y"].unique()) == [-1.25, 0.25, 1.75]


def test_a_marker_at_no_place_is_refused_in_one_line(tmp_path):
    bowl_plane(tmp_path)
    file = tmp_path / "markers.csv"
    header, first, *rest = file.read_text().splitlines(keepends=True)
    at = header.strip().split(",").index("x")
    cells = first.split(",")
    file.write_text("".join([header, ",".join([*cells[:at], "inf", *cells[at + 1 :]]), *rest]))
    with pytest.raises(FedscapeError, match=r"markers\.csv: a place that is infinite; delete the file"):
        surface(tmp_path)


def test_no_plane_makes_a_table_without_rows(tmp_path):
    bowl_plane(tmp_path)
    full = surface(tmp_path)
    save_plane(tmp_path / "plane.safetensors", None)
    assert list(surface(tmp_path, "none.csv")) == list(full)
    assert (tmp_path / "none.csv").read_text().count("\n") == 2
    assert not (tmp_path / "resume").exists()


@pytest.mark.parametrize("grid", [(7, 7), (9, 4), (2, 11)])
def test_grid_covers_the_markers_with_a_square_step(grid):
    x, y = np.array([-2.0, 6.0, 1.0]), np.array([0.0, 1.0, 0.5])
    xs, ys = grid_axes(box_around(x, y, grid, margin=0.25), grid)
    assert (len(xs), len(ys)) == grid
    steps = np.concatenate([np.diff(xs), np.diff(ys)])
    np.testing.assert_allclose(steps, steps[0])
    assert xs[0] <= -4 + 1e-9 and xs[-1] >= 8 - 1e-9, "a quarter of the larger side, 8, on every side"
    assert ys[0] <= -2 + 1e-9 and ys[-1] >= 3 - 1e-9
    tight = max(12 / (grid[0] - 1), 5 / (grid[1] - 1))
    assert steps[0] == pytest.approx(tight), "and no larger than that"
    np.testing.assert_allclose((xs[0] + xs[-1], ys[0] + ys[-1]), (4, 1))


def test_a_finer_grid_contains_the_coarser_one_bit_for_bit():
    draw = np.random.default_rng(0)
    for steps_x, steps_y, finer in [(5, 8, 2), (10, 10, 2), (25, 25, 2), (7, 3, 3), (50, 20, 5)]:
        x, y = draw.standard_normal((2, 8)) * draw.uniform(0.1, 10, (2, 1))
        coarse, fine = (steps_x + 1, steps_y + 1), (steps_x * finer + 1, steps_y * finer + 1)
        axes = [grid_axes(box_around(x, y, grid, 0.3), grid) for grid in (coarse, fine)]
        for one, other in zip(*axes, strict=True):
            np.testing.assert_array_equal(one, other[::finer])


def test_markers_at_one_place_still_have_a_grid():
    for grid, margin, sides in ((3, 0.0, (1, 1)), (3, 0.5, (1, 1)), ((5, 3), 0.0, (1, 0.5))):
        xs, ys = grid_axes(box_around(np.zeros(2), np.zeros(2), grid, margin), grid)
        assert (np.ptp(xs), np.ptp(ys)) == sides and xs.mean() == ys.mean() == 0


def test_impossible_grids_are_refused():
    for grid in (1, (3, 1), (3, 3, 3)):
        with pytest.raises(ValueError, match="grid"):
            grid_axes((0, 1, 0, 1), grid)
