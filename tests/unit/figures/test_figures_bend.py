"""Straight and bent lines between models: both in one panel, with their barriers."""

import numpy as np
import pandas as pd
import pytest
from figure_frames import CURVE_PAIR as PAIR
from figure_frames import curve_frames as frames

from fedscape.errors import FedscapeError
from fedscape.figures.kinds import bend


def draw(given=None, labels=(), **settings):
    return bend.draw(given or frames(), bend.Settings(**settings), labels)


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_panel_for_each_pair_with_both_lines_and_their_barriers():
    figure = draw()
    assert [axes.get_title() for axes in figure.axes] == [
        f"{start} \N{RIGHTWARDS ARROW} {end}" for start in ("iid", "iid-b") for end in ("dir1.0", "dir0.1")
    ]
    t = np.linspace(0, 1, 5)
    for axes in figure.axes:
        straight, chord, curve = axes.lines
        np.testing.assert_allclose(straight.get_ydata(), t + t * (1 - t))
        np.testing.assert_allclose(curve.get_ydata(), t + t * (1 - t) / 5)
        assert chord.get_ydata().tolist() == [0, 1]
        assert legend(axes) == ["straight, barrier 0.25", "curve, barrier 0.05"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_the_other_split_and_the_error():
    axes = draw(split="test", measure="error").axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 0.1 * np.linspace(0, 1, 5))
    assert legend(axes) == ["straight, barrier 12.5 points", "curve, barrier 2.5 points"]
    with pytest.raises(FedscapeError, match="no rows with split test"):
        draw({**frames(), "curve": frames()["curve"].query("split == 'train'")}, split="test")


def test_where_nothing_was_lowered_the_legend_says_so():
    assert legend(draw(frames(kept="straight")).axes[0])[1] == "curve: the straight line itself"


def test_seeds_of_several_groups_are_a_mean_in_a_band():
    several = [frames(seeds=[seed], group=f"all_seed{seed}") for seed in (0, 1, 2)]
    figure = draw({name: pd.concat([one[name] for one in several]) for name in several[0]})
    assert len(figure.axes) == 4 and all(len(axes.collections) == 2 for axes in figure.axes)
    assert legend(figure.axes[0])[0] == "straight, barrier 0.5"


def test_clients_of_a_round_share_a_panel_and_each_round_has_one():
    of_clients = [
        frames(pair={**PAIR, "between": "clients", "round": number, "to_round": number, "client": one, "to_client": 3})
        for number in (1, 2)
        for one in (0, 1)
    ]  # fmt: skip
    given = {name: pd.concat([one[name] for one in of_clients]) for name in of_clients[0]}
    given = {name: frame[frame["to_partition"] == "dir0.1"] for name, frame in given.items()}
    figure = draw({name: frame[frame["partition"] == "iid"] for name, frame in given.items()})
    titles = [axes.get_title().splitlines()[-1] for axes in figure.axes]
    assert titles == ["clients of round 1", "clients of round 2"]
    assert all(len(axes.collections) == 2 for axes in figure.axes)


@pytest.mark.parametrize("log", [False, True])
def test_no_line_runs_through_a_legend(log):
    figure = draw(split="test", log=log)
    figure.draw_without_rendering()
    for axes in figure.axes:
        box = axes.get_legend().get_window_extent()
        highest = max(axes.transData.transform(line.get_xydata())[:, 1].max() for line in axes.lines)
        assert highest < box.y0


def test_a_log_axis():
    assert draw(split="test", log=True).axes[0].get_yscale() == "log"
