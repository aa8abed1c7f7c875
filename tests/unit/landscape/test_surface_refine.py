"""How a surface fills what it does not evaluate, and whether it says so honestly."""

import bowl
import numpy as np
import pytest
from surface_helpers import bowl_plane, counted_points, fresh, landscape, linear_plane, surface

from fedscape.landscape import refine


@pytest.fixture
def counted(monkeypatch):
    """Every evaluation of a point, with what it was asked for."""
    return counted_points(monkeypatch)


def smooth(x, y):
    """A skew valley whose loss spans three orders of magnitude, with the error that goes with it."""
    loss = 0.01 + 0.3 * (x - 0.4) ** 2 + 0.2 * x * y + 0.7 * (y - 0.2) ** 2 + 0.05 * np.sin(3 * x + y) ** 2
    return loss, 0.9 * loss / (1 + loss)


@pytest.mark.parametrize(("coarse", "tolerance"), [(2, 0.2), (5, 1.0)])
def test_filled_points_against_the_surface_that_they_stand_for(tmp_path, monkeypatch, coarse, tolerance):
    bowl_plane(tmp_path)
    landscape(monkeypatch, smooth)
    found = surface(tmp_path, grid=(31, 21), coarse=coarse)
    nodes = (found["i"] % coarse == 0) & (found["j"] % coarse == 0)
    filled = found["interpolated"]
    assert (~filled).sum() == nodes.sum() + refine.CHECKS and not (filled & nodes).any()
    loss, error = smooth(found["x"], found["y"])
    np.testing.assert_allclose(found["loss"][~filled], loss[~filled], rtol=1e-7)
    relative = abs(found["loss"] - loss)[filled] / loss[filled]
    stated = found["interpolation_error"][filled].unique()
    assert len(stated) == 1 and found["interpolation_error"][~filled].isna().all()
    assert relative.max() < 1.5 * stated[0], "at the points that are left"
    table = loss.to_numpy().reshape(31, 21)
    every = abs(refine.filled_losses(table[::coarse, ::coarse], coarse) - table) / table
    assert stated[0] <= every.max() * 1.001 and every.max() < min(tolerance, 1.5 * stated[0])
    np.testing.assert_allclose(found["error"][~filled], error[~filled], rtol=1e-7)
    others = found[["loss_se", "error", "error_se"]]
    assert others[filled].isna().all(axis=None), "nothing but the loss is filled"
    assert others[~filled].notna().all(axis=None)


def test_the_logarithm_of_a_bicubic_is_filled_exactly(tmp_path, monkeypatch):
    bowl_plane(tmp_path)

    def cubic(x, y):
        return np.exp(x**3 * y - y**3 + x * y**2 - 2)

    landscape(monkeypatch, lambda x, y: (cubic(x / 3, y / 3), 0.5 + 0.01 * x * y))
    found = surface(tmp_path, grid=13, coarse=4)
    np.testing.assert_allclose(found["loss"], cubic(found["x"] / 3, found["y"] / 3), rtol=1e-7)
    assert found["interpolation_error"].max() < 1e-9


def test_every_client_is_filled_with_an_error_of_its_own(tmp_path, counted):
    linear_plane(tmp_path, spread=0.5)
    asked = {"model": "linear", "client_losses": True, "grid": 17}
    exact = surface(tmp_path, "exact.csv", **asked, fingerprint="exact")
    counted.clear()
    found = surface(tmp_path, **asked, coarse=2)
    assert len(counted) == 81 + refine.CHECKS < 289
    filled = found["interpolated"]
    same = found["client"].fillna(-1)
    assert (filled.groupby([found["i"], found["j"]]).nunique() == 1).all(), "a point is one pass for all"
    for _, rows in found[filled].groupby(same):
        truth = exact.loc[rows.index, "loss"]
        assert 0 < (abs(rows["loss"] - truth) / truth).max() < 1.5 * rows["interpolation_error"].iloc[0]
    assert found["interpolation_error"][filled].nunique() == 4
    assert found["error"][~filled].between(0, 1).all() and found["error"][filled].isna().all()
    np.testing.assert_array_equal(found["loss"][~filled], exact["loss"][~filled])


@pytest.mark.parametrize("undefined", [np.nan, np.inf, 0.0])
def test_points_beside_a_loss_without_logarithm_are_evaluated(tmp_path, monkeypatch, undefined):
    bowl_plane(tmp_path)

    def torn(x, y):
        loss, error = smooth(x, y)
        return (undefined if x > 1.3 + y else loss), error

    landscape(monkeypatch, torn)
    found = surface(tmp_path, grid=(31, 31), coarse=3)
    shape = (31, 31)
    loss, filled = (found[column].to_numpy().reshape(shape) for column in ("loss", "interpolated"))
    bad = ~(np.isfinite(loss) & (loss != 0))
    for i, j in np.argwhere(filled):
        low_i, low_j = i - i % 3, j - j % 3
        cell = bad[low_i : low_i + 4 : 3, low_j : low_j + 4 : 3]
        assert not cell.any()
    assert filled.any() and bad.any() and not (filled & bad).any()
    # Cells that the border runs through are evaluated whole, so the fill never smears it.
    truth = np.array([torn(x, y)[0] for x, y in found[["x", "y"]].to_numpy()]).reshape(shape)
    np.testing.assert_allclose(loss[~filled], truth[~filled], rtol=1e-7)
    relative = abs(loss[filled] - truth[filled]) / truth[filled]
    assert relative.max() < 1.5 * found["interpolation_error"].max()


def test_an_island_that_a_check_finds_makes_the_error_infinite(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    asked = {"grid": (9, 9), "coarse": 2}
    nodes = surface(tmp_path, "nodes.csv", **asked, fingerprint="nodes")
    checked = nodes[~nodes["interpolated"] & (nodes["i"] % 2 + nodes["j"] % 2 > 0)].iloc[0]
    landscape(
        monkeypatch,
        lambda x, y: (np.nan if np.isclose([x, y], [checked["x"], checked["y"]]).all() else 1.0, 0.5),
    )
    found = surface(tmp_path, **asked)
    assert set(found["interpolation_error"].dropna()) == {np.inf}


def test_all_undefined_is_all_evaluated(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    landscape(monkeypatch, lambda x, y: (np.nan, 1.0))
    found = surface(tmp_path, grid=5, coarse=2)
    assert not found["interpolated"].any() and (found["error"] == 1).all() and found["loss"].isna().all()


def test_what_is_filled_does_not_depend_on_earlier_jobs(tmp_path, counted):
    """Points that happen to be there are left out: the same study gives the same bytes everywhere."""
    bowl_plane(tmp_path)
    surface(tmp_path, grid=9)
    counted.clear()
    surface(tmp_path, grid=9, coarse=2)
    assert counted == []
    assert (tmp_path / "surface.csv").read_bytes() == fresh(tmp_path, grid=9, coarse=2)


@pytest.mark.parametrize(("grid", "coarse"), [((3, 3), 2), ((5, 3), 2), ((7, 10), 3), ((5, 9), 4)])
def test_few_nodes_take_a_lower_degree_and_fewer_checks(tmp_path, grid, coarse):
    bowl_plane(tmp_path, spread=0.1)
    found = surface(tmp_path, grid=grid, coarse=coarse)
    nodes = np.prod([(count - 1) // coarse + 1 for count in grid])
    filled = found["interpolated"].sum()
    assert len(found) - nodes - filled == min(24, np.ceil((len(found) - nodes) / 4))
    assert filled > 0 and np.isfinite(found["loss"]).all()
    centre = bowl_plane(tmp_path, spread=0.1)
    for row in found.itertuples():
        exact = bowl.quadratic(centre.at(row.x, row.y).double().numpy())
        assert row.loss == pytest.approx(exact, rel=0.5 if row.interpolated else 1e-5)
