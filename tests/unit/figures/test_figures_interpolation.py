"""Paths between models: a line per pair, its barrier, and the spread over seeds."""

import numpy as np
import pandas as pd
import pytest
from figure_frames import barriers_frame, path_frame

from fedscape.errors import FedscapeError
from fedscape.figures.kinds import interpolation
from fedscape.figures.looks import Labels

ARROW = "\N{RIGHTWARDS ARROW}"


def paths_of(axes):
    """The lines of the paths, without the markers at their ends and the straight lines."""
    return [line for line in axes.lines if ARROW in line.get_label()]


class TestInterpolation:
    def draw(self, frames=None, labels=(), **settings):
        frames = frames or {"path": path_frame(), "barriers": barriers_frame()}
        return interpolation.draw(frames, interpolation.Settings(**settings), labels)

    def test_one_line_per_pair_of_the_split_with_its_barrier(self):
        axes = self.draw(split="test", measure="loss").axes[0]
        t = np.linspace(0, 1, 5)
        lines = paths_of(axes)
        assert len(lines) == 4
        assert all(np.allclose(line.get_ydata(), t + t * (1 - t) + 1) for line in lines)
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        assert names[0] == "iid \N{RIGHTWARDS ARROW} dir1.0 (+0.25)" and len(names) == 4

    def test_colour_tells_the_end_and_line_style_the_start(self):
        # The first line style is solid, all others are dashed.
        labels = Labels.of([], [["partition", "iid", 0, 1.0], ["partition", "iid-b", 1, 1.0]])
        lines = {line.get_label().split(" (")[0]: line for line in self.draw(labels=labels).axes[0].lines}
        look = {pair.replace(" \N{RIGHTWARDS ARROW}", ""): line for pair, line in lines.items()}
        assert (
            look["iid dir0.1"].get_color()
            == look["iid-b dir0.1"].get_color()
            != look["iid dir1.0"].get_color()
        )
        assert (
            look["iid dir0.1"].get_linestyle()
            == look["iid dir1.0"].get_linestyle()
            != look["iid-b dir1.0"].get_linestyle()
        )

    def test_without_barriers_and_on_a_log_axis(self):
        figure = self.draw({"path": path_frame()}, log=True)
        assert figure.axes[0].get_yscale() == "log"
        assert figure.axes[0].get_legend().get_texts()[0].get_text() == "iid \N{RIGHTWARDS ARROW} dir1.0"

    def test_a_split_that_was_not_measured_is_an_error(self):
        with pytest.raises(FedscapeError, match="no rows with split test"):
            self.draw({"path": path_frame().query("split == 'train'")}, split="test")

    def test_seeds_of_several_groups_are_a_mean_in_a_band(self):
        frames = {
            "path": pd.concat([path_frame(seeds=[seed], group=f"all_seed{seed}") for seed in (0, 1, 2)]),
            "barriers": pd.concat(
                [barriers_frame(seeds=[seed], group=f"all_seed{seed}") for seed in (0, 1, 2)]
            ),
        }
        figure = self.draw(frames)
        (axes,) = figure.axes
        lines = paths_of(axes)
        t = np.linspace(0, 1, 5)
        assert len(lines) == 4 and len(axes.collections) == 4
        # Rises of 1, 2 and 3 times t (1 - t): their mean is 2, their barriers' mean 0.5.
        assert all(np.allclose(line.get_ydata(), t + 2 * t * (1 - t)) for line in lines)
        # In the middle, rises of 1 and 3 are 0.25 and 0.75 above the 0.5 of the line between the ends.
        corners = axes.collections[0].get_paths()[0].vertices
        assert set(corners[corners[:, 0] == 0.5, 1]) == {0.75, 1.25}
        legend = axes.get_legend()
        assert "(+0.5)" in legend.get_texts()[0].get_text()
        assert "means over seeds" in legend.get_title().get_text().replace("\n", " ")

    def test_a_seed_whose_run_diverged_stays_in_the_panel_of_the_others(self):
        whole, part = path_frame(group="all_seed0"), path_frame(seeds=[1], group="all_seed1")
        figure = self.draw({"path": pd.concat([whole, part[part["to_partition"] == "dir1.0"]])})
        (axes,) = figure.axes
        assert len(axes.collections) == 2

    def test_groups_that_differ_in_more_than_the_seed_have_panels_of_their_own(self):
        path = pd.concat(
            [
                path_frame(seeds=[seed], init=init, to_init=init, group=f"{init}_seed{seed}")
                for init in ("random", "pretrained")
                for seed in (0, 1)
            ]
        )
        assert [axes.get_title() for axes in self.draw({"path": path}).axes] == ["random", "pretrained"]

    def test_a_study_names_both_ends(self):
        labels = [
            {"label": f"model {name}", "where": {"partition": name}}
            for name in ("iid", "iid-b", "dir1.0", "dir0.1")
        ]
        figure = interpolation.draw({"path": path_frame()}, interpolation.Settings(), labels)
        first = figure.axes[0].get_legend().get_texts()[0].get_text()
        assert first == "model iid \N{RIGHTWARDS ARROW} model dir1.0"

    def test_the_straight_line_between_the_ends_carries_the_largest_rise(self):
        axes = self.draw(split="test").axes[0]
        path = paths_of(axes)[0]
        own = [line for line in axes.lines if line.get_color() == path.get_color() and line is not path]
        straight = next(line for line in own if len(line.get_xdata()) == 5)
        t = np.linspace(0, 1, 5)
        assert np.allclose(straight.get_ydata(), t + 1) and straight.get_linewidth() < path.get_linewidth()
        bar = next(line for line in own if line.get_marker() == "_")
        assert np.allclose(bar.get_xdata(), 0.5) and np.allclose(bar.get_ydata(), [1.5, 1.75])

    def test_a_path_that_never_rises_above_the_line_has_no_bar(self):
        path = path_frame()
        path["loss"] = path["t"]
        assert not [line for line in self.draw({"path": path}).axes[0].lines if line.get_marker() == "_"]

    @pytest.mark.parametrize("log", [False, True])
    def test_figures_that_differ_in_rows_have_one_range(self, log):
        high, low = path_frame(init="random"), path_frame(init="pretrained")
        path = pd.concat([high.assign(loss=high["loss"] + 5), low.assign(loss=low["loss"] + 1)])
        ranges = []
        for init in ("random", "pretrained"):
            (axes,) = self.draw({"path": path}, rows={"init": init}, log=log).axes
            values = np.concatenate([line.get_ydata() for line in paths_of(axes)])
            assert (values > 4).all() == (init == "random")
            ranges.append(axes.get_ylim())
        assert ranges[0] == ranges[1] and ranges[0][0] < 1 and ranges[0][1] > 6

    def test_rows_that_are_not_there_are_errors(self):
        with pytest.raises(FedscapeError, match="rows: path has no column colour"):
            self.draw(rows={"colour": "red"})
        with pytest.raises(FedscapeError, match="rows: no row of path has init=warm; there are random"):
            self.draw(rows={"init": "warm"})

    def test_barriers_of_the_error_are_in_points(self):
        axes = self.draw(measure="error").axes[0]
        assert axes.get_legend().get_texts()[0].get_text().endswith(" points)")
