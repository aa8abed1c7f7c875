"""Figures from synthetic CSVs: what is drawn, in which place, and that the same files give the same bytes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.patches import Rectangle

from fedscape.errors import FedscapeError
from fedscape.figures import contour, curves, interpolation, partitions
from fedscape.figures.draw import draw_figure, selected
from fedscape.figures.labels import pair_labels, panel_titles, run_labels
from fedscape.figures.plane import SURFACE_COLOURS, loss_scale
from fedscape.figures.style import log_steps, looks
from fedscape.files import write_csv

RUN = {
    "study": "pilot", "scale": "smoke", "dataset": "digits", "model": "convnet", "partition": "iid",
    "init": "random", "method": "fedavg", "seed": 0,
}  # fmt: skip
PLANE = {"plane": "one", "group": "all"}


def surface_frame(nx=7, ny=4, lowest=(6, 0), **names):
    """A bowl on a grid of 7 x 4 points with its lowest point in a corner; x in [0, 6], y in [10, 11.5]."""
    rows = []
    for i in range(nx):
        for j in range(ny):
            loss = 0.1 + (i - lowest[0]) ** 2 + (j - lowest[1]) ** 2
            rows.append(
                {
                    **RUN,
                    "partition": "*",
                    **PLANE,
                    **names,
                    "i": i,
                    "j": j,
                    "x": i,
                    "y": 10 + j / 2,
                    "loss": loss,
                    "samples": 1500,
                }
            )
    return pd.DataFrame(rows)


def markers_frame(partitions=("iid", "dir0.1"), rounds=range(4), **names):
    rows = []
    for place, partition in enumerate(partitions):
        for number in rounds:
            loss = 2.0 / (1 + number) + place
            rows.append(
                {**RUN, **PLANE, "partition": partition, **names, "round": number, "x": 1.0 + number, "y": 10.2 + place / 2,
                 "residual": 0.2, "loss": loss, "loss_at_projection": 0.9 * loss}
            )  # fmt: skip
    return pd.DataFrame(rows)


def path_frame(**names):
    rows = []
    for start in ("iid", "iid-b"):
        for end in ("dir1.0", "dir0.1"):
            for split in ("train", "test"):
                for t in np.linspace(0, 1, 5):
                    rows.append(
                        {**RUN, "partition": start, "to_partition": end, "to_init": "random", "to_method": "fedavg",
                         "to_seed": 0, "connectivity": "finals", "group": "all", **names, "split": split, "t": t,
                         "loss": t + t * (1 - t) + (split == "test"), "error": 0.1 * t}
                    )  # fmt: skip
    return pd.DataFrame(rows)


def barriers_frame():
    ends = path_frame().query("t == 0").drop(columns=["t", "loss", "error"])
    return pd.concat(
        [ends.assign(measure=measure, sup=sup) for measure, sup in (("loss", 0.25), ("error", 0.125))]
    )


def rounds_frame(seeds=(0,), partitions=("iid", "dir0.1"), inits=("random",), rounds=6):
    rows = [
        {**RUN, "partition": partition, "init": init, "seed": seed, "round": number,
         "test_accuracy": 0.1 * number + 0.02 * seed, "train_loss": 2.0 / (1 + number), "test_loss": None, "diverged": False}
        for partition in partitions for init in inits for seed in seeds for number in range(rounds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def partition_frame(partition="iid", clients=4, classes=3):
    rows = [
        {**RUN, "model": "*", "init": "*", "method": "*", "partition": partition, "client": client, "class": label,
         "class_name": f"class {label}", "samples": client * label}
        for client in range(clients) for label in range(classes)
    ]  # fmt: skip
    return pd.DataFrame(rows)


KINDS = {
    "contour": ({}, {"surface": surface_frame(), "markers": markers_frame()}),
    "interpolation": ({}, {"path": path_frame(), "barriers": barriers_frame()}),
    "curves": ({"measure": "test_accuracy"}, {"rounds": rounds_frame(seeds=(0, 1))}),
    "partitions": ({}, {"partitions": pd.concat([partition_frame("iid"), partition_frame("dir0.1")])}),
}


def drawn(tmp_path, kind, settings, frames, where=None, name="figure", title="A title"):
    """Write the frames as CSVs and draw them; gives the bytes of PNG and SVG."""
    files = {}
    for key, frame in frames.items():
        files[key] = [tmp_path / f"{key}.csv"]
        write_csv(files[key][0], frame, list(RUN))
    png, svg = tmp_path / f"{name}.png", tmp_path / f"{name}.svg"
    draw_figure(
        kind=kind, settings=settings, title=title, frames=files, where=where or {}, png=png, svg=svg
    )  # fmt: skip
    return png.read_bytes(), svg.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_and_draws_the_same_bytes_again(tmp_path, kind):
    import matplotlib

    before = dict(matplotlib.rcParams)
    first = drawn(tmp_path, kind, *KINDS[kind], name="first")
    assert first[0].startswith(b"\x89PNG") and b"</svg>" in first[1][-20:]
    assert drawn(tmp_path, kind, *KINDS[kind], name="second") == first
    assert dict(matplotlib.rcParams) == before


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


def test_a_long_title_stays_inside(tmp_path):
    title = "Loss between the final models of runs with clients whose data differ, and of those alike " * 2
    drawn(tmp_path, "interpolation", *KINDS["interpolation"], title=title)


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

    def test_a_pair_stays_if_either_end_is_asked_for(self):
        ends = selected(path_frame(), {"partition": ["iid-b"]})
        assert set(ends["partition"]) == {"iid-b"}
        ends = selected(path_frame(), {"partition": ["dir0.1"]})
        assert set(ends["partition"]) == {"iid", "iid-b"} and set(ends["to_partition"]) == {"dir0.1"}
        assert selected(path_frame(), {"partition": ["dir0.1"], "init": "pretrained"}).empty


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

    def test_looks_differ_in_colour_and_marker_and_line(self):
        names = [f"run {i}" for i in range(42)]
        assert len(set(looks(names).values())) == 42
        first = list(looks(names[:5]).values())
        assert all(len({getattr(look, part) for look in first}) == 5 for part in ("colour", "marker", "line"))


@pytest.mark.parametrize(
    ("low", "high", "most", "steps"),
    [
        (0.015, 3, 12, [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2]),
        (0.015, 3, 5, [0.03, 0.1, 0.3, 1, 3]),
        (0.015, 3, 3, [0.1, 1]),
        (1e-6, 1, 3, [1e-6, 1e-4, 1e-2, 1]),
        (0.6, 0.9, 5, []),
    ],
)
def test_log_steps_are_round_and_not_too_many(low, high, most, steps):
    assert np.allclose(log_steps(low, high, most), steps)


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


class TestInterpolation:
    def draw(self, frames=None, **settings):
        frames = frames or {"path": path_frame(), "barriers": barriers_frame()}
        return interpolation.draw(frames, interpolation.Settings(**settings))

    def test_one_line_per_pair_of_the_split_with_its_barrier(self):
        axes = self.draw(split="test", measure="loss").axes[0]
        t = np.linspace(0, 1, 5)
        lines = [line for line in axes.lines if line.get_linestyle() != "None"]
        assert len(lines) == 4
        assert all(np.allclose(line.get_ydata(), t + t * (1 - t) + 1) for line in lines)
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        assert names[0] == "iid \N{RIGHTWARDS ARROW} dir1.0 (+0.25)" and len(names) == 4

    def test_colour_tells_the_end_and_line_style_the_start(self):
        lines = {line.get_label().split(" (")[0]: line for line in self.draw().axes[0].lines}
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

    def test_a_panel_per_value(self):
        figure = self.draw(
            rounds_frame(inits=("random", "pretrained")), panels="init", measure="train_loss", log=True
        )
        assert [axes.get_title() for axes in figure.axes] == ["random", "pretrained"]
        assert all(len(axes.lines) == 2 and axes.get_yscale() == "log" for axes in figure.axes)
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["iid", "dir0.1"]

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
                for text in partitions.draw({"partitions": one}, partitions.Settings()).axes[0].texts
            }
            for one in (few, many)
        ]
        assert written == [{"1", "2", "3", "4", "6"}, set()]
        none = partitions.draw({"partitions": few}, partitions.Settings(numbers=False))
        assert not none.axes[0].texts

    def test_bars_are_all_samples_of_a_client(self):
        figure = partitions.draw({"partitions": partition_frame()}, partitions.Settings())
        (strip,) = figure.axes[0].child_axes
        assert [bar.get_height() for bar in strip.patches] == [0, 3, 6, 9]
