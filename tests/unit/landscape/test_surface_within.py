"""Surfaces within an error that was asked for, against the whole grid, and what their rounds share."""

import numpy as np
import pytest
from surface_helpers import bowl_plane, common, counted_points, fresh, landscape, linear_plane, surface

from fedscape.jobs.resume import ResumeFolder
from fedscape.landscape import within
from fedscape.landscape.evaluator import SurfaceEvaluator
from fedscape.landscape.points import POINTS_FILE
from fedscape.landscape.surface import evaluate_part

SHAPES = {
    "quadratic": lambda x, y: 0.2 + 0.4 * (x - 0.4) ** 2 + 0.2 * x * y + 0.7 * (y - 0.2) ** 2,
    "ridge": lambda x, y: 0.2 + np.abs(x - 0.7 * y) ** 0.5,
    "plateaus": lambda x, y: 1.3 + np.tanh(8 * (x - 0.8)) + 0.2 * np.tanh(6 * y),
}


@pytest.fixture
def counted(monkeypatch):
    """Every evaluation of a point, with what it was asked for."""
    return counted_points(monkeypatch)


def shaped(monkeypatch, shape):
    """Points whose loss is one of `SHAPES`; a list that grows by each evaluation of one."""
    landscape(monkeypatch, lambda x, y: (SHAPES[shape](x, y), 0.5))
    return counted_points(monkeypatch)


def off(found, shape):
    """Relative errors of the filled losses against the true ones."""
    filled = found[found["interpolated"]]
    return np.abs(filled["loss"] / SHAPES[shape](filled["x"], filled["y"]) - 1)


@pytest.mark.parametrize("error", [0.003, 0.03])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_error_asked_for_is_reached_on_the_whole_grid(tmp_path, monkeypatch, shape, error):
    bowl_plane(tmp_path)
    evaluated = shaped(monkeypatch, shape)
    found = surface(tmp_path, grid=41, error=error)
    filled = found["interpolated"]
    assert len(evaluated) == len(set(evaluated)) == (~filled).sum() < len(found)
    assert np.quantile(off(found, shape), 0.95) <= error
    stated = found.loc[filled, "interpolation_error"]
    assert stated.nunique() == 1 and 0 < stated.iloc[0] <= error
    assert found.loc[~filled, "interpolation_error"].isna().all()
    assert found.loc[filled, ["loss_se", "error", "error_se"]].isna().all(axis=None)
    np.testing.assert_allclose(
        found["loss"][~filled], SHAPES[shape](found["x"], found["y"])[~filled], rtol=1e-7
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_whichever_points_are_held_out_the_error_is_reached(shape):
    x, y = np.meshgrid(np.linspace(-1.9, 2.9, 41), np.linspace(-2.15, 2.65, 41), indexing="ij")
    true = SHAPES[shape](x, y)
    for seed in range(8):
        filled = within.fill_within(0.01, lambda _: true[:, :, None], true.shape, seed)
        assert np.quantile(np.abs(filled.losses[:, :, 0] / true - 1)[filled.points], 0.95) <= 0.01


def test_a_sharp_plane_takes_more_points(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    counts = {}
    for shape in SHAPES:
        evaluated = shaped(monkeypatch, shape)
        surface(tmp_path, grid=51, error=0.01, fingerprint=shape)
        counts[shape] = len(evaluated)
    assert counts["quadratic"] <= 0.12 * 51**2
    assert counts["ridge"] > 2 * counts["quadratic"] < counts["plateaus"]


def test_what_no_fill_meets_is_evaluated_whole(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    draw = np.random.default_rng(0)
    landscape(monkeypatch, lambda x, y: (draw.uniform(0.1, 10), 0.5))
    found = surface(tmp_path, grid=21, error=0.01)
    assert found["interpolated"].mean() < 0.05


@pytest.mark.parametrize("undefined", [np.nan, np.inf, 0.0])
def test_a_border_of_losses_without_logarithm_is_never_filled(tmp_path, monkeypatch, undefined):
    bowl_plane(tmp_path)

    def torn(x, y):
        return undefined if x > 1.3 + y else SHAPES["quadratic"](x, y)

    landscape(monkeypatch, lambda x, y: (torn(x, y), 0.5))
    found = surface(tmp_path, grid=51, error=0.01)
    truth = np.array([torn(x, y) for x, y in found[["x", "y"]].to_numpy()])
    filled = found["interpolated"]
    bad = ~np.isfinite(truth) | (truth == 0)
    assert filled.any() and bad.any() and not (filled & bad).any()
    assert np.quantile(abs(found["loss"] / truth - 1)[filled], 0.95) <= 0.01


def test_all_undefined_is_all_evaluated(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    landscape(monkeypatch, lambda x, y: (np.nan, 1.0))
    assert not surface(tmp_path, grid=21, error=0.1)["interpolated"].any()


@pytest.mark.parametrize("grid", [(3, 3), (3, 40), (11, 12), (2, 60)])
def test_small_and_narrow_grids(tmp_path, grid):
    bowl_plane(tmp_path, spread=0.1)
    found = surface(tmp_path, grid=grid, error=0.01)
    exact = surface(tmp_path, "exact.csv", grid=grid)
    assert np.quantile(abs(found["loss"] / exact["loss"] - 1), 0.95) <= 0.01
    assert len(found) == np.prod(grid)


def test_every_client_is_within_the_error(tmp_path, counted):
    linear_plane(tmp_path, spread=0.3)
    asked = {"model": "linear", "client_losses": True, "grid": 33}
    exact = surface(tmp_path, "exact.csv", **asked)
    found = surface(tmp_path, **asked, error=0.02, fingerprint="within")
    assert len(counted) < 1.5 * 33**2
    filled = found["interpolated"]
    for _, rows in found[filled].groupby(found["client"].fillna(-1)):
        assert np.quantile(abs(rows["loss"] / exact.loc[rows.index, "loss"] - 1), 0.95) <= 0.02
        assert 0 < rows["interpolation_error"].iloc[0] <= 0.02
    assert found.loc[filled, "interpolation_error"].nunique() == 4


def test_held_out_points_are_drawn_with_equal_chances():
    rest = ~within.start_points((21, 21))
    draws = np.array([within.held_out(rest, seed, number) for seed in range(400) for number in range(3)])
    assert not draws[:, ~rest].any() and (draws.sum(axis=(1, 2)) == within.CHECKS).all()
    counts = draws.sum(axis=0)[rest]
    expected = len(draws) * within.CHECKS / rest.sum()
    # Chi-squared: its mean is the degrees of freedom, its variance twice these.
    chi = ((counts - expected) ** 2 / expected).sum()
    freedom = len(counts) - 1
    assert abs(chi - freedom) < 5 * np.sqrt(2 * freedom)


def test_where_hardly_any_points_are_left_all_are_evaluated():
    """Fewer than 59 held out of them would promise less than 95 of 100."""
    rest = np.zeros((20, 20), dtype=bool)
    rest.flat[: 4 * within.CHECKS] = True
    assert within.held_out(rest, seed=0, number=0).sum() == within.CHECKS
    rest.flat[0] = False
    np.testing.assert_array_equal(within.held_out(rest, seed=0, number=0), rest)
    true = np.ones((13, 13, 1))
    filled = within.fill_within(0.01, lambda _: true, (13, 13), seed=0)
    assert not filled.points.any() and not filled.checks.any()


def test_a_fill_of_which_a_twentieth_is_too_far_off_passes_in_a_twentieth_of_draws():
    draw = np.random.default_rng(1)
    passed = (draw.random((20_000, within.CHECKS)) > 0.05).all(axis=1).mean()
    assert passed == pytest.approx(0.95**within.CHECKS, abs=0.005)
    assert 0.95**within.CHECKS < 0.05 < 0.95 ** (within.CHECKS - 1)


def test_the_first_points_of_finer_grids_are_nested():
    for count in (17, 18, 26, 33, 51, 101, 201):
        coarse, fine = (np.flatnonzero(within.start_points((n, n))[0]) for n in (count, 2 * count - 1))
        np.testing.assert_array_equal(2 * coarse, fine)
        assert coarse[0] == 0 and coarse[-1] == count - 1 and len(coarse) == within.START_SIDE


def test_a_finer_grid_takes_over_what_is_there(tmp_path, counted):
    bowl_plane(tmp_path)
    asked = {"grid": 33, "error": 0.003}
    surface(tmp_path, grid=17, error=0.003)
    coarse = len(counted)
    surface(tmp_path, **asked)
    both = len(counted)
    assert len(set(counted)) == both, "no point twice"
    whole = fresh(tmp_path, **asked)
    assert (tmp_path / "surface.csv").read_bytes() == whole
    assert both <= coarse + (len(counted) - both) - within.START_SIDE**2
    surface(tmp_path, grid=33)
    surface(tmp_path, **asked)
    assert (tmp_path / "surface.csv").read_bytes() == whole, "what was filled does not hang on what is there"


def test_another_error_evaluates_only_what_it_lacks(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    evaluated = shaped(monkeypatch, "plateaus")
    surface(tmp_path, grid=33, error=0.05)
    first = len(evaluated)
    surface(tmp_path, grid=33, error=0.01)
    assert len(set(evaluated)) == len(evaluated) > first
    assert (tmp_path / "surface.csv").read_bytes() == fresh(tmp_path, grid=33, error=0.01)


def test_a_surface_killed_in_any_round_ends_with_the_same_bytes(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    evaluated = shaped(monkeypatch, "plateaus")
    whole = fresh(tmp_path, grid=21, error=0.05)
    total = len(evaluated)
    for stop_after in range(30, total, total // 4):
        evaluated.clear()
        with monkeypatch.context() as patch:
            patch.setattr(
                ResumeFolder,
                "stop_requested",
                lambda self, n=stop_after: "SIGTERM" if len(evaluated) == n else None,
            )
            try:
                surface(tmp_path, grid=21, error=0.05)
            except SystemExit as stopped:
                assert "point " in str(stopped)
        surface(tmp_path, grid=21, error=0.05)
        assert len(evaluated) == total, "no point is evaluated twice"
        assert (tmp_path / "surface.csv").read_bytes() == whole
        for file in ("surface.csv", POINTS_FILE):
            (tmp_path / file).unlink()


def test_a_surface_killed_amid_a_point_loses_at_most_a_column(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    evaluated = shaped(monkeypatch, "ridge")
    whole = fresh(tmp_path, grid=33, error=0.02)
    total = len(evaluated)
    evaluated.clear()
    real = SurfaceEvaluator.measure

    def killed(self, x, y):
        if len(evaluated) == total - 50:
            raise KeyboardInterrupt
        return real(self, x, y)

    with monkeypatch.context() as patch:
        patch.setattr(SurfaceEvaluator, "measure", killed)
        with pytest.raises(KeyboardInterrupt):
            surface(tmp_path, grid=33, error=0.02)
    surface(tmp_path, grid=33, error=0.02)
    assert total <= len(evaluated) <= total + 33
    assert (tmp_path / "surface.csv").read_bytes() == whole


@pytest.mark.parametrize("parts", [2, 5])
def test_parts_share_the_first_round(tmp_path, counted, parts):
    bowl_plane(tmp_path)
    asked = {"grid": 33, "error": 0.01}
    whole = fresh(tmp_path, **asked)
    total = len(counted)
    counted.clear()
    files = []
    for number in range(1, parts + 1):
        files.append(tmp_path / f"parts/{number}-of-{parts}.npz")
        arguments = common(tmp_path, resume_folder=tmp_path / f"parts/resume{number}", **asked)
        kept = tmp_path / POINTS_FILE
        evaluate_part(**arguments, part=number, parts=parts, kept=kept, out=files[-1])
    assert len(counted) == len(set(counted)) == within.START_SIDE**2 + within.CHECKS
    surface(tmp_path, **asked, parts=files)
    assert len(counted) == total, "and the surface only what follows"
    assert (tmp_path / "surface.csv").read_bytes() == whole


def test_rounds_are_drawn_by_the_seed(tmp_path, monkeypatch):
    bowl_plane(tmp_path)
    landscape(monkeypatch, lambda x, y: (SHAPES["quadratic"](x, y), 0.5))
    tables = {seed: surface(tmp_path, grid=21, error=0.01, seed=seed) for seed in (0, 1)}
    assert not tables[0]["interpolated"].equals(tables[1]["interpolated"])
    again = surface(tmp_path, "again.csv", grid=21, error=0.01, seed=0)
    assert again.equals(tables[0])
