"""Surfaces with trajectories and final models on them: what is drawn, where, and what is said about it."""

import numpy as np
import pandas as pd
import pytest
from figure_frames import MARKER, diverged_row, markers_frame, surface_frame
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from fedscape.errors import FedscapeError
from fedscape.figures.kinds import contour
from fedscape.figures.markers import mean_of_seeds
from fedscape.figures.panels import legend_columns
from fedscape.figures.surface import SURFACE_COLOURS, between, interpolation_note, loss_scale


class TestContour:
    def draw(self, surface=None, markers=None, **settings):
        frames = {
            "surface": surface_frame() if surface is None else surface,
            "markers": markers_frame() if markers is None else markers,
        }
        return contour.draw(frames, contour.Settings(**settings))

    @pytest.mark.parametrize("corner", [(0, 0), (6, 0), (0, 3), (6, 3)])
    def test_the_lowest_loss_is_in_the_corner_where_it_is(self, corner):
        """On a grid with nx != ny: reading it transposed would fail, or put the minimum elsewhere."""
        axes = self.draw(surface_frame(lowest=corner)).axes[0]
        bands = axes.collections[0]
        lowest = next(path.vertices for path in bands.get_paths() if len(path.vertices))
        x, y = corner[0], 10 + corner[1] / 2
        assert np.isclose(lowest, (x, y)).all(axis=1).any()
        assert np.abs(lowest - (x, y)).max() < 1.5
        assert axes.get_xlim() == (0, 6) and axes.get_ylim() == (10, 11.5)
        assert axes.get_aspect() == 1

    def test_markers_are_filled_with_their_true_loss(self):
        figure = self.draw(markers=markers_frame(["iid", "dir0.1"], rounds=[3]))
        axes, norm = figure.axes[0], figure.axes[0].collections[0].norm
        fills = [c.get_facecolor()[0] for c in axes.collections if isinstance(c, PathCollection)][1::2]
        losses = markers_frame(["iid", "dir0.1"], rounds=[3])["loss"]
        assert np.allclose(fills, [SURFACE_COLOURS(norm(loss)) for loss in losses])

    def test_a_trajectory_is_a_line_through_all_its_rounds_in_order(self):
        markers = markers_frame(["iid"], rounds=range(40)).sample(frac=1, random_state=0)
        axes = self.draw(markers=markers, marked_rounds=5).axes[0]
        (line,) = axes.lines
        assert list(line.get_xdata()) == [1.0 + number for number in range(40)]
        points = [c.get_offsets() for c in axes.collections if isinstance(c, PathCollection)]
        assert sum(map(len, points)) == 2 * 5  # each with its white rim

    def test_final_models_are_named_beside_their_marker(self):
        axes = self.draw(markers=markers_frame(rounds=[3])).axes[0]
        assert not axes.lines
        assert {"iid", "dir0.1"} <= {text.get_text() for text in axes.texts}

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_ground_without_finite_loss_is_hatched(self, value):
        surface = surface_frame()
        surface.loc[surface["i"] < 2, "loss"] = value
        figure = self.draw(surface)
        (patch,) = [p for p in figure.axes[0].patches if isinstance(p, Rectangle)]
        assert patch.get_hatch()
        drawn_x = np.concatenate([path.vertices[:, 0] for path in figure.axes[0].collections[0].get_paths()])
        assert drawn_x.min() >= 2
        assert "loss not finite" in {text.get_text() for text in figure.legends[0].get_texts()}
        assert not self.draw().axes[0].patches

    def test_a_model_without_finite_loss_and_a_flat_surface_draw(self):
        markers = markers_frame()
        markers.loc[1, ["loss", "loss_at_projection"]] = np.nan
        self.draw(surface_frame().assign(loss=0.5), markers).savefig("/dev/null", format="png")

    def test_nothing_finite_is_an_error(self):
        with pytest.raises(FedscapeError, match="no finite loss"):
            self.draw(surface_frame().assign(loss=np.nan), markers_frame().assign(loss=np.nan))

    def test_panels_share_one_scale(self):
        groups = ("x_random", "x_pretrained")
        surface = pd.concat(
            [
                surface_frame(group=g).assign(loss=lambda f, k=k: f["loss"] * 10**k)
                for k, g in enumerate(groups)
            ]
        )
        markers = pd.concat([markers_frame(group=g, init=g[2:]) for g in groups])
        figure = self.draw(surface, markers, truth=False)
        panels = [axes for axes in figure.axes if axes.get_title()]
        assert [axes.get_title() for axes in panels] == ["random", "pretrained"]
        norms = {(axes.collections[0].norm.vmin, axes.collections[0].norm.vmax) for axes in panels}
        assert norms == {(0.1, 10 * markers["loss"].max())}

    def test_the_scale_ends_where_asked_or_before_astronomic_losses(self):
        surface, markers = surface_frame(), markers_frame()
        surface.loc[0, "loss"] = 1e9
        assert loss_scale(surface, markers, None).vmax == 10 * markers["loss"].max()
        assert loss_scale(surface, markers.assign(loss=0.2), None).vmax == 10
        assert loss_scale(surface_frame(nx=2, lowest=(0, 0)), markers, None).vmax == 10.1
        assert loss_scale(surface, markers, 7.0).vmax == 7

    def test_a_group_without_surface_is_named(self):
        with pytest.raises(FedscapeError, match="group other has markers, but no rows in surface"):
            self.draw(markers=pd.concat([markers_frame(), markers_frame(group="other")]))

    def test_truth_panels_show_true_loss_shown_loss_and_residual(self):
        _, losses, residuals, *_ = self.draw(markers=markers_frame(["iid"])).axes
        shown = losses.lines[1]
        assert np.allclose(shown.get_ydata(), 0.9 * np.asarray(shown.get_xdata()))
        assert np.allclose(residuals.lines[0].get_ydata(), 0.2)
        assert len(self.draw(truth=False).axes) == 2  # surface and colour bar

    def test_settings_refuse_what_cannot_be(self):
        with pytest.raises(ValueError, match="marked_rounds must be at least 2"):
            contour.Settings(marked_rounds=1)
        with pytest.raises(ValueError, match="highest_loss must be > 0"):
            contour.Settings(highest_loss=0.0)

    def test_truth_compares_losses_under_the_batch_norm_policy(self):
        markers = markers_frame(["iid"]).assign(batch_norm="recalibrate")
        markers["loss_under_policy"] = 0.95 * markers["loss"]
        _, losses, *_ = self.draw(markers=markers).axes
        assert np.allclose(losses.lines[1].get_xdata(), 0.95 * markers["loss"])
        # A loss of 1 / 0.95 = 1.053 of the other.
        note = losses.get_title(loc="left").replace("\n", " ")
        assert note == "batch norm recalibrated: models' own loss changes by up to 5 %"
        markers["loss_under_policy"] = 1.009 * markers["loss"]
        assert not self.draw(markers=markers).axes[1].get_title(loc="left")
        markers["loss_under_policy"] = 80 * markers["loss"]
        assert "by a factor of up to 80" in self.draw(markers=markers).axes[1].get_title(loc="left")

    def test_final_models_of_several_seeds_share_a_line_of_the_truth_panels(self):
        _, losses, *_ = self.draw(markers=markers_frame(rounds=[3], seeds=(0, 1))).axes
        assert [label.get_text() for label in losses.get_yticklabels()] == ["iid", "dir0.1"]

    def test_clients_own_surfaces_are_not_the_global_one(self):
        surface = pd.concat([surface_frame(), surface_frame(client=0).assign(loss=99.0)])
        assert self.draw(surface).axes[0].collections[0].norm.vmax < 99

    @pytest.mark.parametrize(
        ("kind", "x", "y"),
        [
            (
                "pca",
                "first principal direction, 61 % of squared distance from centre (L2 distance in parameter space)",
                "second principal direction, 20 % of squared distance from centre (L2 distance in parameter space)",
            ),
            (
                "models",
                "first direction between models (L2 distance in parameter space)",
                "second direction between models (L2 distance in parameter space)",
            ),
            (
                "random",
                "first random direction (filter-normalised)",
                "second random direction (filter-normalised)",
            ),
            (
                "eigenvectors",
                "first Hessian eigenvector (eigenvalue 12.3)",
                "second Hessian eigenvector (eigenvalue -0.5)",
            ),
        ],
    )
    def test_axes_say_what_spans_the_plane(self, kind, x, y):
        markers = markers_frame(axes=kind, curvature_x=12.34, curvature_y=-0.5)
        axes = self.draw(markers=markers).axes[0]
        assert [" ".join(label.split()) for label in (axes.get_xlabel(), axes.get_ylabel())] == [x, y]
        unknown = self.draw(markers=markers_frame(explained_x=None)).axes[0].get_xlabel()
        assert "%" not in unknown

    @pytest.mark.parametrize("kind", ["random", "eigenvectors"])
    def test_planes_around_one_model_have_no_truth_panels(self, kind):
        single = pd.DataFrame(
            [
                {
                    **MARKER,
                    "x": 3,
                    "y": 11,
                    "residual": 0.0,
                    "axes": kind,
                    "curvature_x": 1.0,
                    "curvature_y": 0.1,
                }
            ]
        )
        assert len(self.draw(markers=single).axes) == 2

    def test_a_run_that_diverged_is_named_and_not_drawn(self):
        markers = pd.concat([markers_frame(["iid"]), diverged_row(partition="dir0.1")])
        figure = self.draw(markers=markers)
        assert len(figure.axes[0].lines) == 1
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert "dir0.1: diverged, left out" in names and "dir0.1" not in names

    def test_the_seed_that_diverged_is_named(self):
        markers = pd.concat([markers_frame(["iid", "dir0.1"]), diverged_row(partition="iid", seed=1)])
        names = {text.get_text() for text in self.draw(markers=markers).legends[0].get_texts()}
        assert "iid, seed 1: diverged, left out" in names

    def test_a_group_of_which_all_runs_diverged_is_a_panel_that_says_so(self):
        gone = [diverged_row(group="x_high", method="high", partition=name) for name in ("iid", "dir0.1")]
        markers = pd.concat([markers_frame(group="x_low", method="low"), *gone])
        figure = self.draw(surface_frame(group="x_low"), markers)
        (panel,) = [axes for axes in figure.axes if axes.get_title() == "high"]
        assert panel.texts[0].get_text().split("\n") == ["all runs diverged", "(iid, dir0.1)"]
        assert not any("left out" in text.get_text() for text in figure.legends[0].get_texts())
        alone = self.draw(surface_frame().iloc[:0], gone[0])
        assert [text.get_text() for axes in alone.axes for text in axes.texts] == ["all runs diverged\n(iid)"]

    def test_a_plane_without_global_models_is_another_kinds(self):
        with pytest.raises(FedscapeError, match="drawn by kind local"):
            self.draw(markers=markers_frame(role="client"))

    def test_seeds_are_thin_lines_around_their_mean(self):
        figure = self.draw(markers=markers_frame(["iid"], seeds=(0, 1, 2)))
        lines = sorted(figure.axes[0].lines, key=lambda line: line.get_linewidth())
        assert [line.get_linewidth() for line in lines[:3]] == [0.7] * 3 and len(lines) == 4
        assert np.allclose([line.get_ydata()[0] for line in lines[:3]], [10.2, 10.3, 10.4])
        assert np.allclose(lines[3].get_ydata(), 10.3)
        names = {text.get_text() for text in figure.legends[0].get_texts()}
        assert {"iid", "thin: one seed each, thick: mean"} <= names

    def test_final_models_of_several_seeds_surround_their_mean(self):
        axes = self.draw(markers=markers_frame(rounds=[3], seeds=(0, 1))).axes[0]
        points = [c for c in axes.collections if isinstance(c, PathCollection)][1::2]
        sizes = [c.get_sizes()[0] for c in points]
        # Of each run, two small ones and their mean: sizes in points squared.
        assert np.allclose(np.array(sizes) / max(sizes), [0.25, 0.25, 1] * 2)
        assert np.allclose(points[2].get_offsets(), [[4, 10.25]])
        assert [text.get_text() for text in axes.texts if "0" not in text.get_text()[:1]][-2:] == [
            "iid",
            "dir0.1",
        ]

    def test_a_mean_has_the_rounds_of_all_its_seeds(self):
        rows = pd.concat(
            [markers_frame(["iid"], seeds=[0]), markers_frame(["iid"], rounds=[0, 1], seeds=[1])]
        )
        rows.loc[(rows["round"] == 1) & (rows["seed"] == 1), "loss"] = np.nan
        mean = mean_of_seeds(rows)
        assert list(mean["round"]) == [0, 1]
        assert np.allclose(mean["loss"], [2.0, np.nan], equal_nan=True)

    def test_labels_of_the_study_name_runs(self):
        labels = [{"label": "IID", "where": {"partition": "iid"}}]
        frames = {"surface": surface_frame(), "markers": markers_frame()}
        figure = contour.draw(frames, contour.Settings(), labels)
        assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["IID", "dir0.1"]

    def names(self, x: list[float], y: list[float]) -> tuple[Axes, dict[str, Bbox]]:
        """The names beside three final models at these places, drawn, and their panel."""
        markers = markers_frame(["iid", "dir1.0", "dir0.5"], rounds=[3])
        markers["x"], markers["y"] = x, y
        figure = self.draw(markers=markers, truth=False)
        figure.draw_without_rendering()
        axes = figure.axes[0]
        known = {*markers["partition"]}
        return axes, {
            text.get_text(): text.get_window_extent() for text in axes.texts if text.get_text() in known
        }

    @pytest.mark.parametrize(("y", "named"), [([10.02, 11.3, 10.95], 3), ([10.02, 11.45, 11.1], 2)])
    def test_names_stay_inside_and_off_other_models(self, y, named):
        """The second time there is no room for a name between a corner of the panel and another model."""
        axes, names = self.names([0.05, 5.95, 5.5], y)
        box = axes.get_window_extent()
        assert len(names) == named
        assert all(
            box.x0 <= name.x0 and name.x1 <= box.x1 and box.y0 <= name.y0 and name.y1 <= box.y1
            for name in names.values()
        )
        assert named < 3 or not names["dir1.0"].overlaps(names["dir0.5"])

    @pytest.mark.parametrize("apart", [0.02, 0.1, 0.3, 1.0])
    def test_a_name_is_nearer_to_its_own_model_or_left_to_the_legend(self, apart):
        places = {"dir1.0": (3.0, 11.0), "dir0.5": (3.0 + apart, 11.0)}
        axes, names = self.names([0.05, 3.0, 3.0 + apart], [10.02, 11.0, 11.0])
        assert "iid" in names and (apart < 1 or len(names) == 3)
        for name in places.keys() & names.keys():
            box, own = names[name], places[name]
            (other,) = {*places.values()} - {own}

            def distance(place: tuple[float, float], box: Bbox = box) -> float:
                x, y = axes.transData.transform(place)
                return np.hypot(max(box.x0 - x, x - box.x1, 0), max(box.y0 - y, y - box.y1, 0))

            assert distance(own) < distance(other)

    def test_an_interpolated_surface_says_so(self):
        surface = surface_frame(nx=20, ny=10)
        filled = np.arange(len(surface)) % 4 != 0
        surface["interpolated"] = filled
        surface.loc[filled, "interpolation_error"] = 0.0031
        assert interpolation_note(surface) == (
            "\n25 % of points evaluated,\nrest interpolated (up to 0.31 % off where checked)"
        )
        assert "rest interpolated" in self.draw(surface).axes[-1].get_ylabel()
        assert interpolation_note(surface_frame()) == ""


def test_thin_lines_lie_evenly_between_and_beyond_the_numbered_ones():
    thin = between(np.array([1.0, 10.0, 100.0, 1000.0, 10000.0]), np.geomspace(1, 1e4, 33))
    # Three thin lines in each of six decades, from 0.1 to 1e5.
    assert np.allclose(np.log10(thin) % 1, np.tile([0.25, 0.5, 0.75], 6))
    assert np.allclose(thin[[0, -1]], [10**-0.75, 10**4.75])


def test_a_legend_has_as_many_columns_as_fit():
    assert legend_columns(["iid"] * 4, 10) == 4
    assert legend_columns(["a name that is long enough to fill half a line"] * 4, 7) == 2
    assert legend_columns(["x" * 200, "y"], 5) == 1
    assert legend_columns([], 5) == 1
    capitals, small = (legend_columns([letter * 12] * 6, 7.2) for letter in "Wi")
    assert capitals < small == 6, "letters differ in width"
