"""The inset of a panel: which models are a crowd, and that it is drawn where it hides none of them."""

import numpy as np
import pytest
from figure_frames import markers_frame, surface_frame

from fedscape.figures.inset import SIDE, crowd
from fedscape.figures.kinds import contour
from fedscape.figures.surface import near_models, smooth

FLAT = {"nx": 9, "ny": 9, "low": (0, 0), "high": (8, 8), "loss": lambda x, y: 1 + x**2 + y**2}


def drawn(x, y, **settings):
    """Final models at these points."""
    markers = markers_frame([f"dir{i}" for i in range(len(x))], rounds=[3])
    markers = markers.assign(x=x, y=y)
    figure = contour.draw(
        {"surface": surface_frame(**FLAT), "markers": markers}, contour.Settings(**settings)
    )
    return figure.axes[0]


def test_the_largest_crowd_is_linked_from_one_to_the_next():
    points = np.array([[0, 0], [5, 0], [6, 0], [7, 0], [0, 0.5], [20, 20]], float)
    assert crowd(points, 1).tolist() == [1, 2, 3]
    assert len(crowd(points, 0.1)) == 1


def test_models_that_hide_each_other_are_enlarged_in_a_free_corner():
    axes = drawn([1, 1.2, 7], [1, 1.1, 7])
    (inset,) = axes.child_axes
    xlim, ylim = inset.get_xlim(), inset.get_ylim()
    assert xlim[0] < 1 and xlim[1] > 1.2 and xlim[1] - xlim[0] < 8 * SIDE
    assert np.ptp(xlim) == pytest.approx(np.ptp(ylim))
    texts = {text.get_text() for text in inset.texts}
    assert {"dir0", "dir1"} <= texts and f"\N{MULTIPLICATION SIGN}{8 * SIDE / np.ptp(xlim):.2g}" in texts


def test_names_in_an_inset_neither_hide_each_other_nor_leave_it():
    """Three final models, one with a name as long as the inset is wide: the legend has it."""
    markers = markers_frame(["dir0", "dir1", "a name that is far too long", "dir3"], rounds=[3])
    markers = markers.assign(x=[1, 1.02, 1.2, 7], y=[1.1, 1, 1.2, 7])
    figure = contour.draw({"surface": surface_frame(**FLAT), "markers": markers}, contour.Settings())
    (inset,) = figure.axes[0].child_axes
    names = [text for text in inset.texts if text.get_text() in set(markers["partition"])]
    assert {text.get_text() for text in names} == {"dir0", "dir1"}
    first, second = (text.get_window_extent() for text in names)
    assert not first.overlaps(second)


@pytest.mark.parametrize(
    ("x", "y", "settings"),
    [
        ([1, 4, 7], [1, 4, 7], {}),
        ([1, 1, 7], [1, 1, 7], {}),
        ([1, 1.001, 7], [1, 1, 7], {}),
        ([1, 1.2, 7], [1, 1.1, 7], {"inset": False}),
    ],
    ids=["apart", "at one point", "nearly", "switched off"],
)
def test_no_inset_where_it_shows_nothing_new(x, y, settings):
    assert not drawn(x, y, **settings).child_axes


def test_no_inset_that_would_hide_a_model():
    assert not drawn([0.5, 7.5, 0.5, 7.5, 4, 4.2], [0.5, 0.5, 7.5, 7.5, 4, 4.1]).child_axes


class TestSmooth:
    def test_it_goes_through_all_points_and_never_beyond_neighbours(self):
        x = y = np.linspace(0, 1, 5)
        loss = np.random.default_rng(0).lognormal(0, 3, (5, 5))
        finer_x, _, finer = smooth(x, y, loss)
        step = (len(finer_x) - 1) // 4
        assert len(finer_x) >= 80 and np.allclose(finer_x[::step], x)
        assert np.allclose(finer[::step, ::step], loss)
        for i in range(4):
            ends = loss[i : i + 2]  # along x, at the points of y
            between = finer[i * step : (i + 1) * step, ::step]
            assert (between >= ends.min(axis=0) * (1 - 1e-9)).all() and (
                between <= ends.max(axis=0) * (1 + 1e-9)
            ).all()

    @pytest.mark.parametrize(
        "loss", [np.full((5, 5), np.nan), np.ones((3, 5))], ids=["not finite", "too few"]
    )
    def test_what_cannot_be_smoothed_stays(self, loss):
        x, y = np.arange(loss.shape[0]), np.arange(loss.shape[1])
        assert smooth(x, y, loss)[2] is loss


class TestScale:
    def test_one_model_far_off_does_not_stretch_the_colours(self):
        """Of twelve models one has a loss of 1,000, as the worst client of a round may have."""
        markers = markers_frame(["iid", "dir0.1", "dir0.3"])
        markers.loc[markers.index[0], "loss"] = 1000.0
        steep = surface_frame(**{**FLAT, "loss": lambda x, y: 1 + x + y})
        figure = contour.draw({"surface": steep, "markers": markers}, contour.Settings())
        assert figure.axes[0].collections[0].norm.vmax <= 40
        bar = figure.axes[-1]
        assert bar.get_ylim()[1] <= 40 and "loss" in bar.get_ylabel()

    def test_a_surface_that_is_nearly_flat_has_lines(self):
        surface = surface_frame(**{**FLAT, "loss": lambda x, y: 2.3 + 1e-3 * (x + y)})
        markers = markers_frame().assign(loss=2.3, loss_at_projection=2.305)
        axes = contour.draw({"surface": surface, "markers": markers}, contour.Settings()).axes[0]
        assert sum(len(lines.levels) for lines in axes.collections[1:] if hasattr(lines, "levels")) > 5

    def test_thin_lines_are_densest_where_models_are_shown(self):
        import pandas as pd
        from matplotlib.colors import LogNorm

        levels = near_models(pd.Series([0.5, 0.6, 0.7, 0.8, 0.9]), LogNorm(0.01, 100))
        assert levels.min() >= 0.5 and levels.max() <= 0.9 and len(levels) >= 5
        assert not len(near_models(pd.Series([np.nan]), LogNorm(0.01, 100)))
