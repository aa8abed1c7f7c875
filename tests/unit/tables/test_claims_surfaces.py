"""Measures of claims that look at the shape of a surface, against closed forms."""

import math

import pandas as pd
import pytest
from claim_frames import NAN, markers, measured, standard_error, surface


def rough(frame, worst=1.0):
    """Roughness of a surface on which the worst model has this loss."""
    marked = markers([{"role": "global", "loss": worst}, {"role": "global", "loss": NAN}])
    return measured("roughness", {"surface": frame, "markers": marked})


@pytest.mark.parametrize("turn", [0.0, 0.4, 1.2])
def test_an_even_slope_has_its_own_density_and_no_roughness(turn):
    a, b = 3 * math.cos(turn), 3 * math.sin(turn)
    slope = surface(lambda x, y: a * x + b * y + 9, x=(-2, 3, 11), y=(0, 1, 7))
    box = markers([{"role": "start", "x": 0, "y": 0.2}, {"role": "client", "x": 1, "y": 0.3}])
    assert measured("density", {"surface": slope, "markers": box}) == pytest.approx(3)
    assert rough(slope, worst=20) == 0
    steep = surface(lambda x, y: math.exp(a * x + b * y - 5), x=(-2, 3, 11), y=(0, 1, 7))
    assert measured("density", {"surface": steep.assign(loss=0.0), "markers": box}) == 0
    assert math.isnan(measured("density", {"surface": steep.assign(loss=0.0), "markers": box}, log=True))
    logarithm = steep.assign(loss=slope["loss"].map(math.exp))
    assert measured("density", {"surface": logarithm, "markers": box}, log=True) == pytest.approx(3)


def test_density_looks_only_where_the_models_are():
    kinked = surface(lambda x, _: (1.0 if x < 0 else 4.0) * x)
    for low, high, expected in ((-0.8, -0.2, 1), (0.2, 0.8, 4), (0.31, 0.33, 4)):
        box = markers([{"role": "client", "x": low, "y": 0}, {"role": "client", "x": high, "y": 0.1}])
        assert measured("density", {"surface": kinked, "markers": box}) == pytest.approx(expected)


def test_density_grows_with_the_steepness_and_with_how_far_the_clients_go():
    def of(steepness, way):
        bowl = surface(lambda x, _: steepness * x * x / 2)
        ends = markers([{"role": "start", "x": 0, "y": 0}, {"role": "client", "x": way, "y": 0.05}])
        return measured("density", {"surface": bowl, "markers": ends})

    # The mean of |steepness * x| over the cells from -0.1 to 0.4, or 0.8: their ends are touched.
    assert of(3, 0.35) == pytest.approx(3 * (0.05 + 0.05 + 0.15 + 0.25 + 0.35) / 5)
    assert of(6, 0.35) == pytest.approx(2 * of(3, 0.35))
    assert of(3, 0.75) > 1.5 * of(3, 0.35)


def test_density_of_several_planes_is_their_mean_each_within_its_own_markers():
    both = pd.concat(
        [surface(lambda x, _: 2 * x, group="a"), surface(lambda x, _: (4.0 if x < 0 else 9.0) * x, group="b")]
    )
    boxes = pd.concat(
        [
            markers([{"role": "start", "x": 0.5, "y": 0}], "a"),
            markers([{"role": "start", "x": -0.5, "y": 0}], "b"),
        ]
    )
    assert measured("density", {"surface": both, "markers": boxes}) == pytest.approx(3)


@pytest.mark.parametrize("floor", [0.0, 0.001, 1.0])
@pytest.mark.parametrize("points", [11, 41])
def test_a_convex_surface_is_smooth_however_deep_narrow_or_finely_drawn_it_is(floor, points):
    grid = {"x": (-1, 1, points), "y": (-1, 1, points + 4)}
    assert rough(surface(lambda x, y: floor + 5 * x * x + y * y + 2 * x * y, **grid)) == 0
    assert rough(surface(lambda x, y: floor + math.hypot(x - 0.3, 3 * y), **grid)) == 0
    assert rough(surface(lambda *_: floor, **grid)) == 0


def test_a_surface_with_holes_is_measured_where_it_is_finite_and_one_without_a_number_is_not():
    slope = surface(lambda x, y: 2 * x + y + 4)
    slope.loc[slope["x"] > 0.7, "loss"] = math.inf
    slope.loc[slope["x"] < -0.7, "loss"] = NAN
    box = markers([{"role": "aggregate", "x": -1, "y": -1}, {"role": "start", "x": 1, "y": 1}])
    frames = {"surface": slope, "markers": box}
    assert measured("density", frames) == pytest.approx(math.sqrt(5))
    assert measured("roughness", frames) == 0
    nothing = {"surface": slope.assign(loss=NAN), "markers": box}
    empty = {"surface": slope.iloc[:0], "markers": box.iloc[:0]}
    for frames in (nothing, empty):
        assert all(math.isnan(measured(kind, frames)) for kind in ("density", "roughness", "off-centre"))


def test_only_the_loss_of_all_clients_counts():
    own = surface(lambda x, y: 50 * math.sin(9 * x) * y).assign(client=3)
    both = pd.concat([surface(lambda x, y: 2 * x + 3), own], ignore_index=True)
    box = markers([{"role": "start", "x": 0, "y": 0}])
    assert measured("density", {"surface": both, "markers": box}) == pytest.approx(2)
    assert rough(both) == 0


def test_off_centre_is_the_distance_to_the_bottom_of_the_basin_and_its_noise_how_well_that_is_known():
    bottom = {"bottom_x": 0.137, "bottom_y": -0.242, "bottom_shift": 1e-6}
    marked = markers(
        [
            {"role": "aggregate", "x": 0.437, "y": -0.642, **bottom},
            {"role": "start", "x": 0.137, "y": 1.758, **bottom},
        ]
    )
    assert measured("off-centre", {"markers": marked}) == pytest.approx(0.5)
    assert measured("off-centre", {"markers": marked}, role="start") == pytest.approx(2)
    assert standard_error("off-centre", {"markers": marked}) == pytest.approx(1e-6)
    assert math.isnan(measured("off-centre", {"markers": marked.iloc[1:]}))
    assert math.isnan(measured("off-centre", {"markers": marked.iloc[:0]}))


def test_off_centre_of_several_planes_is_their_mean_and_one_without_a_bottom_has_none():
    def round_of(group, x, **bottom):
        return markers([{"role": "aggregate", "x": x, "y": 0, **bottom}], group)

    here = {"bottom_x": 0.0, "bottom_y": 0.0, "bottom_shift": 0.0}
    both = pd.concat([round_of("g", 0.2, **here), round_of("h", 0.4, **{**here, "bottom_shift": 0.02})])
    assert measured("off-centre", {"markers": both}) == pytest.approx(0.3)
    assert standard_error("off-centre", {"markers": both}) == pytest.approx(0.01)
    open_basin = pd.concat([both, round_of("i", 0.1)])
    assert math.isnan(measured("off-centre", {"markers": open_basin}))
    assert math.isnan(standard_error("off-centre", {"markers": open_basin}))
