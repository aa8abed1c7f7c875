"""One round on a surface: which client's own surface is overlaid, and where the lines go."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from figure_frames import diverged_row, markers_frame, round_frames, surface_frame
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba

from fedscape.errors import FedscapeError
from fedscape.figures.kinds import local
from fedscape.figures.own_surface import chosen_surface
from fedscape.figures.surface import SURFACE_COLOURS


def draw(frames=None, labels=(), **settings):
    return local.draw(frames or round_frames(), local.Settings(**settings), labels)


def lines_of(axes, colour):
    return [line for line in axes.lines if to_rgba(line.get_color()) == to_rgba(colour)]


class TestChosen:
    def choose(self, frames, client=None):
        surface = frames["surface"]
        rows = chosen_surface(surface, surface[surface["client"].isna()], frames["markers"], client)
        return None if rows is None else set(rows["client"])

    def test_the_client_whose_lowest_point_is_farthest_from_that_of_all(self):
        assert self.choose(round_frames(clients=4)) == {3}

    def test_a_client_without_losses_is_not_chosen_by_itself(self):
        frames = round_frames(clients=4)
        frames["surface"].loc[frames["surface"]["client"] == 3, "loss"] = np.nan
        assert self.choose(frames) == {2}

    def test_the_one_that_is_asked_for(self):
        assert self.choose(round_frames(), client=0) == {0}
        with pytest.raises(
            FedscapeError,
            match=r"client 9: no surface of its own in the round of group all; clients: 0, 1, 2, 3",
        ):
            self.choose(round_frames(), client=9)
        with pytest.raises(FedscapeError, match="set client_losses"):
            self.choose(round_frames(own=False), client=0)

    def test_one_that_took_part_in_the_round(self):
        frames = round_frames(clients=4)
        frames["markers"] = frames["markers"][frames["markers"]["client"] != 3]
        assert self.choose(frames) == {2}
        with pytest.raises(FedscapeError, match=r"clients: 0, 1, 2$"):
            self.choose(frames, client=3)

    def test_none_where_there_is_none(self):
        assert self.choose(round_frames(own=False)) is None


def test_lines_go_from_the_start_through_the_path_to_each_client_and_on_to_the_average():
    axes = draw().axes[0]
    training = [line for line in axes.lines if len(line.get_xdata()) == 4]  # start, two points, client
    averaging = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "--"]
    assert len(training) == len(averaging) == 4
    angles = 2 * np.pi * np.arange(4) / 4
    for line, back, angle in zip(training, averaging, angles, strict=True):
        points = line.get_xydata()
        end = np.array([np.cos(angle), np.sin(angle)])
        assert np.allclose(points[0], [-1.2, 0.4]) and np.allclose(points[-1], end)
        assert np.allclose(points[1], points[0] + (end - points[0]) / 3 + 0.1)
        assert np.allclose(back.get_xydata(), [end, [0, 0]])


def test_without_points_on_the_way_the_lines_are_straight():
    axes = draw(round_frames(paths=0)).axes[0]
    assert all(len(line.get_xdata()) <= 2 for line in axes.lines)


def test_all_markers_are_filled_with_their_true_loss_on_all_data():
    axes = draw().axes[0]
    norm = axes.collections[0].norm
    points = [c for c in axes.collections if isinstance(c, PathCollection)][1::2]
    for group in points:
        for (x, y), fill in zip(group.get_offsets(), group.get_facecolor(), strict=True):
            assert np.allclose(fill, SURFACE_COLOURS(norm(0.4 + x**2 + 2 * y**2)))
    assert sum(len(group.get_offsets()) for group in points) == 4 + 2  # not the points of paths


def test_the_clients_lines_are_lines_of_its_own_loss():
    """Those of a bowl of known centre: at the line of loss L, the squared distance is L - 0.05."""
    axes = draw(client=2).axes[0]
    own = next(c for c in axes.collections if to_rgba(local.NAMED) in [tuple(colour) for colour in c.get_edgecolor()]
               and hasattr(c, "levels"))  # fmt: skip
    centre = np.array([-1.5, 0])
    for level, path in zip(own.levels, own.get_paths(), strict=True):
        if len(path.vertices):
            reached = ((path.vertices - centre) ** 2).sum(axis=1) + 0.05
            # Linear interpolation between points half a unit apart misses a parabola by up to 0.0625 a direction.
            assert np.abs(reached - level).max() < 0.13
    (cross,) = [line for line in lines_of(axes, local.NAMED) if line.get_marker() == "x"]
    assert np.allclose(cross.get_xydata(), [centre])
    assert "client 2" in {text.get_text() for text in axes.texts} and axes.get_title() == "round 4"


def test_a_client_whose_name_has_no_room_beside_it_is_named_in_the_title():
    frames = round_frames(clients=9, paths=0)
    angles = np.pi / 4 * np.arange(8)  # the others all around it, so that each side is nearer to one of them
    around = 0.1 * np.column_stack([np.cos(angles), np.sin(angles)])
    is_client = frames["markers"]["role"] == "client"
    frames["markers"].loc[is_client, ["x", "y"]] = np.array([1.0, 0.0]) + np.insert(around, 2, 0, axis=0)
    axes = draw(frames, client=2, inset=False).axes[0]
    assert axes.get_title() == "round 4 (client 2)" and "client 2" not in {
        text.get_text() for text in axes.texts
    }


def test_panels_are_on_one_scale_with_the_same_lines_and_named():
    frames = [round_frames(partition=name, group=f"x_{name}") for name in ("iid", "dir0.1")]
    both = {key: pd.concat([frame[key] for frame in frames]) for key in ("surface", "markers")}
    both["surface"].loc[both["surface"]["group"] == "x_iid", "loss"] *= 3
    figure = draw(both, [{"label": "IID", "where": {"partition": "iid"}}])
    panels = [axes for axes in figure.axes if axes.get_title().endswith("round 4")]
    assert [axes.get_title() for axes in panels] == ["IID, round 4", "dir0.1, round 4"]
    assert len({(axes.collections[0].norm.vmin, axes.collections[0].norm.vmax) for axes in panels}) == 1


def test_truth_panels_show_each_client_true_and_shown():
    _, losses, residuals, *_ = draw().axes
    pairs = [line for line in losses.lines if len(line.get_xdata()) == 2]
    assert len(pairs) == 6
    assert all(np.isclose(np.ptp(line.get_ydata()), 0.1) for line in pairs)
    assert [label.get_text() for label in losses.get_xticklabels()] == ["0", "1", "2", "3"]
    assert np.allclose([line.get_ydata()[0] for line in residuals.lines], [0.7] * 5 + [0])
    assert len(draw(truth=False).axes) == 2


def test_many_clients_are_not_all_numbered():
    _, losses, *_ = draw(round_frames(clients=25, own=False, paths=0)).axes
    assert [label.get_text() for label in losses.get_xticklabels()] == [str(n) for n in range(0, 25, 3)]


def test_numbers_of_clients_in_narrow_panels_do_not_touch():
    frames = [round_frames(group=name, method=name, clients=5) for name in ("a", "b")]
    both = {name: pd.concat([one[name] for one in frames]) for name in frames[0]}
    figure = draw({name: frame.assign(client=frame["client"] + 10) for name, frame in both.items()})
    figure.draw_without_rendering()
    numbered = [axes.get_xticklabels() for axes in figure.axes if axes.get_xlabel().startswith("client")]
    assert len(numbered) == 4
    for labels in numbered:
        boxes = [label.get_window_extent() for label in labels if label.get_text()]
        gaps = [right.x0 - left.x1 for left, right in pairwise(boxes)]
        assert min(gaps) > boxes[0].height / 3


def test_runs_that_diverged_are_panels_that_say_so():
    frames = round_frames(group="x_low", method="low")
    frames["markers"] = pd.concat([frames["markers"], diverged_row(group="x_high", method="high")])
    figure = draw(frames)
    assert "all runs diverged\n(iid)" in {text.get_text() for axes in figure.axes for text in axes.texts}


def test_a_plane_without_clients_is_another_kinds():
    with pytest.raises(FedscapeError, match="the plane has no clients"):
        draw({"surface": surface_frame(), "markers": markers_frame()})


def test_settings_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="client must be at least 0"):
        local.Settings(client=-1)
    with pytest.raises(ValueError, match="highest_loss must be > 0"):
        local.Settings(highest_loss=0.0)
