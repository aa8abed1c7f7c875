"""Figures from synthetic CSVs: what is drawn and where, and that the same files give the same bytes."""

import numpy as np
import pandas as pd
import pytest
from drawn_figures import ALPHA, LABELS, drawn, rounds_frame
from figure_frames import (
    RUN,
    barriers_frame,
    curve_frames,
    diverged_row,
    markers_frame,
    path_frame,
    round_frames,
    surface_frame,
)
from layer_frames import distances_frame, layers_frame
from matplotlib.collections import QuadMesh
from matplotlib.text import Text
from result_frames import results_frame

from fedscape.columns.identity import IDENTITY
from fedscape.errors import FedscapeError
from fedscape.figures.draw import selected
from fedscape.figures.end_names import spread
from fedscape.figures.kinds import curves, partitions
from fedscape.figures.labels import pair_labels, panel_titles, run_labels
from fedscape.figures.medium import MM, Style, house_style, legible
from fedscape.figures.style import log_steps, save
from fedscape.plugins import Plugin


def partition_frame(partition="iid", clients=4, classes=3):
    rows = [
        {**RUN, "model": "*", "init": "*", "method": "*", "partition": partition, "client": client, "class": label,
         "class_name": f"class {label}", "samples": client * label}
        for client in range(clients) for label in range(classes)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def density_frame():
    rows = [
        {**RUN, "round": number, "of": "global", "client": -1, "data": "global", "eigenvalue": i / 10, "density": 1 / (1 + i)}
        for number in (0, 5) for i in range(20)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def scatter_frames():
    runs = results_frame({"iid": 0.9, "dir0.1": 0.7}, methods=("a", "b"))
    curvature = runs[IDENTITY].assign(quantity="worst", value=1 / runs["test_accuracy"])
    return {"curvature": curvature, "runs": runs}


KINDS = {
    "contour": ({}, {"surface": surface_frame(), "markers": markers_frame()}),
    "local": ({}, round_frames()),
    "interpolation": ({}, {"path": path_frame(), "barriers": barriers_frame()}),
    "curves": ({"measure": "test_accuracy"}, {"rounds": rounds_frame(seeds=(0, 1))}),
    "heatmap": (
        {"regimes": ["single", "deep"]},
        {
            "layers": layers_frame(lambda averaged, *_: len(averaged)),
            "distances": distances_frame(lambda *_: 0.5),
        },
    ),
    "profile": (
        {"regimes": ["single", "deep"]},
        {"layers": layers_frame(lambda averaged, *_: len(averaged))},
    ),
    "finals": (
        {"along": "partition", "lines": "init"},
        {"runs": results_frame({"iid": 0.9, "dir0.1": 0.7})},
    ),
    "ranking": ({}, {"runs": results_frame({"iid": 0.9}, methods=("a", "b", "c"))}),
    "partitions": ({}, {"partitions": pd.concat([partition_frame("iid"), partition_frame("dir0.1")])}),
    "scatter": ({"rows": {"quantity": "worst"}, "panels": "partition"}, scatter_frames()),
    "bend": ({}, curve_frames()),
    "spectrum": ({}, {"density": density_frame()}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_and_draws_the_same_bytes_again(tmp_path, kind):
    import matplotlib

    before = dict(matplotlib.rcParams)
    first = drawn(tmp_path, kind, *KINDS[kind], name="first")
    assert first[0].startswith(b"\x89PNG") and b"</svg>" in first[1][-20:]
    assert drawn(tmp_path, kind, *KINDS[kind], name="second") == first
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("width", [85.0, 170.0])
@pytest.mark.parametrize("kind", KINDS)
def test_in_print_nothing_is_cut_off_at_the_width_that_was_asked_for(kind, width):
    settings, frames = KINDS[kind]
    module, own = Plugin(kind, settings).load("figures.kinds")
    with house_style(Style("print", width)):
        figure = legible(module.draw(frames, own))
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
    assert figure.get_figwidth() * MM == pytest.approx(width)
    assert box.x0 > -0.02 and box.x1 < figure.get_figwidth() + 0.02


def test_a_png_has_200_dots_per_inch_and_no_clock_or_version(tmp_path):
    png, svg = drawn(tmp_path, "curves", *KINDS["curves"])
    per_metre = int.from_bytes(png[png.index(b"pHYs") + 4 :][:4], "big")
    assert round(per_metre * 0.0254) == 200
    assert b"Software" not in png and b"<dc:date>" not in svg


def test_a_users_matplotlibrc_changes_nothing(tmp_path):
    import matplotlib

    plain = drawn(tmp_path, "curves", *KINDS["curves"], name="plain")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "none"}):
        assert drawn(tmp_path, "curves", *KINDS["curves"], name="own") == plain


def test_no_rows_is_one_line_with_the_where(tmp_path):
    with pytest.raises(FedscapeError, match=r"no rows in rounds for where: init=\['warm'\]") as error:
        drawn(tmp_path, "curves", *KINDS["curves"], where={"init": ["warm"]})
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.png"))


def test_a_long_title_stays_inside(tmp_path, monkeypatch):
    title = "Loss between the final models of runs with clients whose data differ, and of those alike " * 2
    seen = []
    monkeypatch.setattr(
        "fedscape.figures.draw.save", lambda figure, *files: (save(figure, *files), seen.append(figure))
    )
    drawn(tmp_path, "interpolation", *KINDS["interpolation"], title=title)
    (figure,) = seen
    (text,) = [text for text in figure.texts if text.get_text() == figure.get_suptitle()]
    assert text.get_text().split() == title.split()
    whole, extent = figure.bbox.extents, text.get_window_extent().extents
    assert (extent[:2] >= whole[:2]).all() and (extent[2:] <= whole[2:]).all()


def test_a_surface_without_rows_is_drawn_where_all_runs_diverged(tmp_path):
    frames = {"surface": surface_frame().iloc[:0], "markers": diverged_row()}
    assert drawn(tmp_path, "contour", {}, frames)
    assert drawn(tmp_path, "local", {}, frames)
    with pytest.raises(FedscapeError, match="no rows in markers"):
        drawn(tmp_path, "contour", {}, frames, where={"partition": "dir0.1"})


class TestSelected:
    def test_columns_that_lack_and_stars_do_not_filter(self):
        frame = surface_frame()
        assert len(selected(frame, {"partition": "iid", "init": ["random"], "epoch": 3})) == len(frame)
        assert selected(frame, {"init": "pretrained"}).empty

    def test_numbers_match_whatever_their_type(self):
        frame = rounds_frame(seeds=(0, 1))
        assert set(selected(frame, {"seed": [1]})["seed"]) == {1}
        assert set(selected(frame.astype({"seed": object}), {"seed": "1"})["seed"]) == {1}

    def test_lists_give_the_order(self):
        frame = selected(rounds_frame(partitions=("a", "b", "c")), {"partition": ["c", "a"]})
        assert list(dict.fromkeys(frame["partition"])) == ["c", "a"]
        assert list(frame["round"]) == [*range(6), *range(6)]

    def test_a_pair_stays_if_both_ends_are_asked_for(self):
        ends = selected(path_frame(), {"partition": ["iid-b", "dir0.1"]})
        assert set(ends["partition"]) == {"iid-b"} and set(ends["to_partition"]) == {"dir0.1"}
        assert selected(path_frame(), {"partition": ["dir0.1"]}).empty
        assert len(selected(path_frame(), {"init": "random"})) == len(path_frame())
        assert selected(path_frame(to_init="pretrained"), {"init": "random"}).empty


class TestLabels:
    def test_only_what_differs_names_a_run(self):
        assert set(run_labels(rounds_frame())) == {"iid", "dir0.1"}
        assert set(run_labels(rounds_frame(seeds=(0, 1)))) == {
            "iid, seed 0", "iid, seed 1", "dir0.1, seed 0", "dir0.1, seed 1",
        }  # fmt: skip
        assert set(run_labels(rounds_frame(partitions=["iid"]))) == {"iid"}

    def test_a_panel_tells_what_its_runs_share(self):
        frame = pd.concat([markers_frame(group=f"x_{init}", init=init) for init in ("random", "pretrained")])
        assert set(run_labels(frame, within=["group"])) == {"iid", "dir0.1"}
        assert panel_titles(frame, "group") == {"x_random": "random", "x_pretrained": "pretrained"}
        assert panel_titles(markers_frame(), "group") == {"all": ""}

    def test_both_ends_of_a_pair_are_named_alike(self):
        start, end = pair_labels(path_frame())
        assert set(start) == {"iid", "iid-b"} and set(end) == {"dir1.0", "dir0.1"}

    def test_a_study_names_its_runs(self):
        frame = rounds_frame(seeds=(0, 1))
        columns = ["partition", "init", "method"]
        assert set(run_labels(frame, columns, labels=LABELS)) == {"IID", ALPHA}
        assert set(run_labels(rounds_frame(partitions=["iid"]), labels=LABELS)) == {"IID"}
        # The first entry that fits counts; a run that none fits keeps its own name.
        first = [{"label": "all", "where": {"partition": ["iid", "dir0.1"], "method": "other"}}, LABELS[0]]
        assert set(run_labels(frame, columns, labels=first)) == {"IID", "dir0.1"}

    def test_names_that_do_not_tell_runs_apart_are_not_used(self):
        both = rounds_frame(inits=("random", "pretrained"))
        assert set(run_labels(both, labels=LABELS)) == {
            "iid, random", "iid, pretrained", "dir0.1, random", "dir0.1, pretrained",
        }  # fmt: skip
        # Panel by panel: the second has one of the two inits only.
        two = pd.concat([both.assign(panel="a"), rounds_frame().assign(panel="b")])
        assert set(run_labels(two, within=["panel"], labels=LABELS)[two["panel"] == "b"]) == {
            "IID",
            ALPHA,
        }

    def test_no_name_of_a_run_fits_a_row_for_several(self):
        labels = [{"label": "longer", "where": {"method": ["fedavg"]}}, *LABELS]
        frame = partition_frame("iid")
        assert set(run_labels(frame, labels=labels)) == {"IID"}

    def test_panels_have_the_names_of_what_their_runs_share(self):
        frame = pd.concat(
            [markers_frame([p], group=f"x_{p}", method=m) for p in ("iid", "dir0.1") for m in ("a", "b")]
        )
        by_method = [{"label": "method a", "where": {"method": "a"}}, *LABELS]
        assert panel_titles(frame, "group", by_method) == {"x_iid": "IID", "x_dir0.1": ALPHA}
        more = pd.concat([frame, markers_frame(["iid"], group="x_other", init="other")])
        assert panel_titles(more, "group", LABELS)["x_other"] == "IID, other"

    def test_ends_that_differ_in_their_seed_alone_are_told_apart(self):
        start, end = pair_labels(path_frame(to_partition="iid", to_seed=1).query("partition == 'iid'"))
        assert set(start) == {"iid"} and set(end) == {"iid, other seed"}


@pytest.mark.parametrize(
    ("low", "high", "most", "steps"),
    [
        (0.015, 3, 12, [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2]),
        (0.015, 3, 5, [0.03, 0.1, 0.3, 1, 3]),
        (0.015, 3, 3, [0.1, 1]),
        (1e-6, 1, 3, [1e-6, 1e-4, 1e-2, 1]),
        (0.6, 0.9, 5, [0.6, 0.8]),
        (1, 3.4, 12, [1, 1.2, 1.5, 2, 2.5, 3]),
    ],
)
def test_log_steps_are_round_and_not_too_many(low, high, most, steps):
    assert np.allclose(log_steps(low, high, most), steps)


class TestCurves:
    def draw(self, frame, **settings):
        return curves.draw({"rounds": frame}, curves.Settings(**{"measure": "test_accuracy", **settings}))

    def test_seeds_are_a_mean_and_a_band(self):
        axes = self.draw(rounds_frame(seeds=(0, 1), partitions=["iid"])).axes[0]
        (line,), (band,) = axes.lines, axes.collections
        assert np.allclose(line.get_ydata(), 0.1 * np.arange(6) + 0.01)
        corners = band.get_paths()[0].vertices
        assert np.isclose(corners[:, 1].max(), 0.52) and np.isclose(corners[:, 1].min(), 0.0)

    def test_the_mean_ends_where_the_first_seed_diverges(self):
        frame = rounds_frame(seeds=(0, 1), partitions=["iid"])
        gone = (frame["seed"] == 1) & (frame["round"] == 3)
        frame.loc[gone, "diverged"], frame.loc[gone, "test_accuracy"] = True, np.nan
        frame = frame[~((frame["seed"] == 1) & (frame["round"] > 3))]
        figure = self.draw(frame)
        line, cross = figure.axes[0].lines
        assert list(line.get_xdata()) == [0, 1, 2] and list(cross.get_xdata()) == [2]
        assert "diverged" in {text.get_text() for text in figure.legends[0].get_texts()}

    def test_clients_that_take_part_in_other_rounds_are_one_line(self):
        """Some of many clients, others in each round and at each seed: a mean over seeds of means over them.

        Where a client has no value, the round has none.
        """
        values = {
            (0, 0): {3: 0.1, 5: 0.3},
            (0, 1): {2: 0.2, 7: 0.6},
            (9, 0): {1: 0.5, 4: 0.7},
            (9, 1): {0: 0.4, 6: 0.8, 8: 0.6},
            (10, 0): {0: 0.5, 1: np.nan},
            (10, 1): {2: 0.5, 3: 0.5},
        }
        frame = pd.concat(
            [
                rounds_frame(seeds=(seed,), partitions=["iid"]).query("round == 0").assign(
                    round=at, client=client, test_accuracy=value
                )
                for (at, seed), clients in values.items()
                for client, value in clients.items()
            ]
        )  # fmt: skip
        axes = self.draw(frame).axes[0]
        (line,), (band,) = axes.lines, axes.collections
        assert list(line.get_xdata()) == [0, 9] and np.allclose(line.get_ydata(), [0.3, 0.6])
        corners = band.get_paths()[0].vertices
        assert np.isclose(corners[:, 1].max(), 0.8) and np.isclose(corners[:, 1].min(), 0.1)

    def test_a_panel_per_value(self):
        figure = self.draw(
            rounds_frame(inits=("random", "pretrained")), panels="init", measure="train_loss", log=True
        )
        assert [axes.get_title() for axes in figure.axes] == ["random", "pretrained"]
        assert all(len(axes.lines) == 2 and axes.get_yscale() == "log" for axes in figure.axes)
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["iid", "dir0.1"]

    def test_many_lines_have_bars_at_the_last_round_instead_of_bands_that_blend(self):
        names = [f"p{i}" for i in range(curves.MOST_BANDS + 1)]
        few, many = (
            self.draw(rounds_frame(seeds=(0, 1), partitions=part)).axes[0] for part in (names[:-1], names)
        )
        assert len(few.collections) == curves.MOST_BANDS and not many.collections
        bars = [line for line in many.lines if len(line.get_xdata()) == 2]
        assert len(bars) == len(names)
        assert all(bar.get_xdata()[0] == bar.get_xdata()[1] > 5 for bar in bars)
        assert len({bar.get_xdata()[0] for bar in bars}) == len(names)  # side by side
        assert all(np.allclose(bar.get_ydata(), [0.5, 0.52]) for bar in bars)
        assert max(many.get_xticks()) == 5  # no round stands where the bars do
        assert curves.BAR_WORDS in {text.get_text() for text in many.figure.legends[0].get_texts()}

    def test_many_lines_are_named_at_their_ends(self):
        names = [f"p{i}" for i in range(curves.MOST_IN_LEGEND + 1)]
        few, many = (self.draw(rounds_frame(partitions=part)) for part in (names[:-1], names))
        assert (
            not few.axes[0].texts and [text.get_text() for text in few.legends[0].get_texts()] == names[:-1]
        )
        assert [text.get_text() for text in many.axes[0].texts] == names and not many.legends
        many.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in many.axes[0].texts]  # without the line to the end
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        assert all(box.x1 <= many.bbox.x1 for box in boxes)

    @pytest.mark.parametrize(("smooth", "window"), [(3, 3), (4, 5), (0.5, 3), (1, 1), (0.1, 1)])
    def test_smoothed_rounds_are_pandas_rolling_mean_with_the_raw_behind(self, smooth, window):
        frame = rounds_frame(seeds=(0, 1), partitions=["iid"])
        frame["test_accuracy"] = np.random.default_rng(0).random(len(frame))
        figure = self.draw(frame, smooth=smooth)
        raw = frame.groupby("round")["test_accuracy"].mean()
        lines = [line.get_ydata() for line in figure.axes[0].lines]
        assert np.allclose(lines[-1], raw.rolling(window, center=True).mean().dropna())
        assert len(figure.axes[0].collections) == 1, "the band of what was measured"
        assert len(lines) == (1 if window == 1 else 2) and np.allclose(lines[0], raw)
        assert ("mean of" in figure.axes[0].get_ylabel()) == (window > 1)

    def test_a_window_is_of_rounds_where_some_have_no_value(self):
        values = pd.Series([0.0, 3.0, 6.0, 12.0], index=[0, 1, 2, 10])
        assert curves.smoothed(values, 3).to_dict() == {1: 3.0, 2: 4.5}
        assert curves.smoothed(values, 13).empty
        sparse = pd.Series([0.0, 3.0, 9.0], index=[0, 5, 10])
        assert curves.smoothed(sparse, 3).to_dict() == {5: 3.0}
        with pytest.raises(ValueError, match="smooth must be"):
            curves.Settings("test_accuracy", smooth=2.5)

    def test_a_smoothed_line_is_named_where_what_was_measured_ends(self):
        names = [f"p{i}" for i in range(curves.MOST_IN_LEGEND + 1)]
        frame = rounds_frame(partitions=names)
        frame.loc[frame["round"] == 5, "test_accuracy"] = 0.9
        figure = self.draw(frame, smooth=3)
        assert [text.xy for text in figure.axes[0].texts] == [(5, 0.9)] * len(names)

    def test_percents_have_no_zeros_that_say_nothing(self):
        figure = self.draw(rounds_frame())
        figure.draw_without_rendering()
        texts = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert "20" in texts and not any("." in text for text in texts)

    def test_percents_are_percents_on_a_logarithmic_axis_too(self):
        figure = self.draw(rounds_frame(), measure="test_accuracy", log=True)
        figure.draw_without_rendering()
        axis = figure.axes[0].yaxis
        texts = [label.get_text() for label in axis.get_ticklabels()]
        assert texts == [f"{100 * share:.6g}" for share in axis.get_ticklocs()]

    def test_a_column_of_words_is_one_line(self):
        with pytest.raises(FedscapeError, match="column method of rounds holds words"):
            self.draw(rounds_frame(), measure="method")

    def test_a_logarithmic_curve_begins_where_it_is_above_0(self):
        frame = rounds_frame()
        frame.loc[frame["round"] == 0, "train_loss"] = 0.0
        figure = self.draw(frame, measure="train_loss", log=True)
        assert all(min(line.get_ydata()) > 0 for line in figure.axes[0].lines)
        with pytest.raises(FedscapeError, match="no finite value above 0, for a logarithmic axis,"):
            self.draw(frame.assign(train_loss=0.0), measure="train_loss", log=True)

    def test_columns_that_lack_or_are_empty_are_errors(self):
        with pytest.raises(FedscapeError, match="measure speed: rounds has no column speed"):
            self.draw(rounds_frame(), measure="speed")
        with pytest.raises(FedscapeError, match="measure test_loss: the column has no finite value"):
            self.draw(rounds_frame(), measure="test_loss")
        with pytest.raises(FedscapeError, match="several rows for one run and round"):
            self.draw(pd.concat([rounds_frame(), rounds_frame()]))


class TestPartitions:
    def test_cells_hold_the_counts_by_class_and_client_on_one_scale(self):
        frame = pd.concat([partition_frame("iid"), partition_frame("dir0.1", clients=6)])
        figure = partitions.draw({"partitions": frame}, partitions.Settings())
        meshes = [[c for c in axes.collections if isinstance(c, QuadMesh)] for axes in figure.axes[:2]]
        counts = [mesh.get_array().reshape(3, -1) for (mesh,) in meshes]
        assert np.array_equal(counts[0], np.outer(range(3), range(4)))
        assert np.array_equal(counts[1], np.outer(range(3), range(6)))
        assert {mesh.norm.vmax for (mesh,) in meshes} == {10}
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
            "class 0",
            "class 1",
            "class 2",
        ]

    def test_numbers_stand_where_they_fit(self):
        few, many = (partition_frame(clients=clients) for clients in (4, 60))
        written = [
            {
                text.get_text()
                for text in partitions.draw({"partitions": frame}, partitions.Settings()).axes[0].texts
            }
            for frame in (few, many)
        ]
        assert written == [{"1", "2", "3", "4", "6"}, set()]
        none = partitions.draw({"partitions": few}, partitions.Settings(numbers=False))
        assert not none.axes[0].texts

    def test_bars_are_all_samples_of_a_client(self):
        figure = partitions.draw({"partitions": partition_frame()}, partitions.Settings())
        (strip,) = figure.axes[0].child_axes
        assert [bar.get_height() for bar in strip.patches] == [0, 3, 6, 9]

    def test_panels_have_the_studys_names_and_what_tells_partitions_of_one_name_apart(self):
        labels = [
            {"label": "IID", "where": {"partition": ["iid", "iid-50"]}},
            {"label": "skewed", "where": {"partition": ["dir0.1", "prior0.1"]}},
        ]
        frames = [partition_frame("iid"), partition_frame("iid-50", clients=50), partition_frame("dir0.1")]
        seeds = [partition_frame("iid").assign(seed=seed) for seed in (0, 1)]
        for tables, names in (
            (frames, ["IID, 4 clients", "IID, 50 clients", "skewed"]),
            ([partition_frame("prior0.1"), frames[2]], ["prior0.1", "dir0.1"]),
            (seeds, ["IID, seed 0", "IID, seed 1"]),
        ):
            figure = partitions.draw({"partitions": pd.concat(tables)}, partitions.Settings(), labels)
            strips = [axes.child_axes[0].get_title() for axes in figure.axes if axes.child_axes]
            assert strips == names


def test_names_that_are_too_close_move_as_little_as_they_must():
    assert np.allclose(spread([0.5, 0.1, 0.9], 0.1), [0.5, 0.1, 0.9])
    assert np.allclose(spread([0.5, 0.5, 0.5], 0.1), [0.4, 0.5, 0.6])
    assert np.allclose(spread([0.32, 0.0, 0.3], 0.1), [0.36, 0.0, 0.26])
    assert np.allclose(spread([1.0, 1.0], 0.1), [0.9, 1.0])  # none leaves the panel
    assert np.allclose(spread([], 0.1), [])
