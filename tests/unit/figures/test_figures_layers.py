"""Heat maps and profiles of layer-wise barriers, and curves of full barriers and distances over training."""

import numpy as np
import pandas as pd
import pytest
from layer_frames import NAMES, distances_frame, layers_frame, mixtures
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_rgb

from fedscape.errors import FedscapeError
from fedscape.figures.barrier_cells import barrier_colours
from fedscape.figures.kinds import curves, heatmap, profile
from fedscape.figures.labels import barrier_label
from fedscape.figures.medium import Style, house_style

ARROW = "\N{RIGHTWARDS ARROW}"


def bowl(averaged, number, rest):
    """A barrier of the two middle layers: a tenth of the round where both are averaged; 1 less with rest to."""
    return (number / 10) * ({1, 2} <= averaged) - (rest == "to")


def ranks(averaged, number, rest):
    """The shallowest and the deepest averaged depth, and the round, in one number."""
    return min(averaged) + 10 * max(averaged) + number


def texts(labels):
    return [label.get_text() for label in labels]


class TestHeatmap:
    def draw(self, frame, labels=(), **settings):
        return heatmap.draw(
            {"layers": frame}, heatmap.Settings(**{"regimes": ["shallow"], **settings}), labels
        )

    def grids(self, figure):
        """The values of each panel [layers, rounds]; masked where there is none."""
        meshes = [c for axes in figure.axes for c in axes.collections if isinstance(c, QuadMesh)]
        return [mesh.get_array() for mesh in meshes[: len(figure.axes) - 1]]

    def test_layers_by_rounds_with_the_shallowest_on_top_and_deep_read_upwards(self):
        figure = self.draw(layers_frame(ranks), regimes=["shallow", "deep"])
        shallow, deep = self.grids(figure)
        rounds = np.array([0, 10, 20])
        assert np.array_equal(shallow, np.array([[0], [10], [20], [30]]) + rounds)
        assert np.array_equal(deep, np.array([[30], [31], [32], [33]]) + rounds)
        left, right = figure.axes[:2]
        assert texts(left.get_yticklabels()) == list(NAMES) and left.get_ylim() == (3.5, -0.5)
        assert texts(left.get_xticklabels()) == ["0", "10", "20"] and left.get_xlabel() == "round"
        assert (left.get_title(), right.get_title()) == ("shallow cumulation", "deep cumulation")
        assert left.get_ylabel() == "layer added last" and not right.get_ylabel()

    def test_other_orders_stand_as_their_layers_are_added(self):
        figure = self.draw(layers_frame(ranks, rounds=[0]), regimes=["outside-in"])
        assert texts(figure.axes[0].get_yticklabels()) == ["stem", "head", "block.1", "block.2"]
        assert self.grids(figure)[0].ravel().tolist() == [0, 30, 30, 30]

    def test_orders_that_differ_are_counted(self):
        frame = layers_frame(ranks, regimes=["full", "random"])
        other = frame.assign(seed=1, to_seed=1, group="all_seed1")
        rows = other["depth"] >= 0
        other.loc[rows, "layer"] = [NAMES[(NAMES.index(name) + 1) % 4] for name in other.loc[rows, "layer"]]
        figure = self.draw(pd.concat([frame.assign(group="all_seed0"), other]), regimes=["random"])
        assert texts(figure.axes[0].get_yticklabels()) == ["1", "2", "3", "4"]

    def test_single_layers_have_the_full_average_above_them(self):
        figure = self.draw(layers_frame(ranks, rounds=[5]), regimes=["single"])
        assert self.grids(figure)[0].ravel().tolist() == [35, 5, 16, 27, 38]
        axes = figure.axes[0]
        assert texts(axes.get_yticklabels()) == ["all layers", *NAMES]
        assert axes.get_ylabel() == "averaged layer"

    def test_the_rest_is_from_one_end_or_the_mean_of_both_and_the_full_average_has_none(self):
        frame = layers_frame(bowl, rounds=[0])
        first, second = self.grids(self.draw(frame, rest="both"))
        assert first.ravel().tolist() == [0, 0, 0, 0] and second.ravel().tolist() == [-1, -1, -1, 0]
        assert self.grids(self.draw(frame))[0].ravel().tolist() == [-0.5, -0.5, -0.5, 0]
        titles = [axes.get_title().replace("\n", " ") for axes in self.draw(frame, rest="both").axes[:2]]
        assert titles == ["shallow cumulation, rest: first model", "shallow cumulation, rest: second model"]

    def test_seeds_and_clients_are_a_mean_where_all_have_a_value(self):
        pairs = [
            layers_frame(lambda a, r, rest, s=seed, c=client: s + 10 * c + r, seed=seed, to_seed=seed, client=0,
                         to_client=client, between="clients", group=f"all_seed{seed}")
            for seed in (0, 1) for client in (1, 2)
        ]  # fmt: skip
        figure = self.draw(pd.concat(pairs))
        assert len(figure.axes) == 2  # one panel and the colour bar
        assert np.allclose(self.grids(figure)[0], 15.5 + np.array([[0, 10, 20]] * 4))
        # A seed that diverges after the second round: the mean of the others would flatter.
        gone = pd.concat([*pairs[:3], pairs[3][pairs[3]["round"] < 20]])
        figure = self.draw(gone)
        assert self.grids(figure)[0].mask.tolist() == [[False, False, True]] * 4
        assert texts(figure.legends[0].get_texts()) == ["no value"]

    def test_no_finite_value_is_hatched(self):
        frame = layers_frame(lambda a, r, rest: np.inf if r else 1.0)
        assert self.grids(self.draw(frame))[0].mask.tolist() == [[False, True, True]] * 4

    def test_groups_have_panels_of_their_own_on_one_scale(self):
        frame = pd.concat(
            [
                layers_frame(lambda a, r, rest, t=top: t, partition=name, to_partition=name, group=name)
                for name, top in (("iid", 4.0), ("dir0.1", -1.0))
            ]
        )
        labels = [{"label": "IID", "where": {"partition": "iid"}}]
        figure = self.draw(frame, labels)
        titles = [axes.get_title() for axes in figure.axes[:2]]
        assert titles == ["IID\nshallow cumulation", "dir0.1\nshallow cumulation"]
        meshes = [axes.collections[0] for axes in figure.axes[:2]]
        assert {(mesh.norm.vmin, mesh.norm.vmax) for mesh in meshes} == {(-1, 4)}

    def test_pairs_and_alignments_of_a_group_are_told_apart(self):
        pairs = [
            layers_frame(ranks, method="sgd", to_method=other, alignment=alignment)
            for other in ("sgd-b", "sgd-c") for alignment in ("none", "weights")
        ]  # fmt: skip
        # REPAIR is of the full average alone: it has no panel.
        repaired = layers_frame(ranks, regimes=["full"], method="sgd", to_method="sgd-b", alignment="repair")
        figure = self.draw(pd.concat([*pairs, repaired]))
        titles = [
            axes.get_title().replace("\n", " ").removesuffix(" shallow cumulation")
            for axes in figure.axes[:-1]
        ]
        assert titles == [
            f"sgd {ARROW} sgd-b, not aligned", f"sgd {ARROW} sgd-b, aligned",
            f"sgd {ARROW} sgd-c, not aligned", f"sgd {ARROW} sgd-c, aligned",
        ]  # fmt: skip
        assert len(self.draw(pd.concat([*pairs, repaired]), alignment=["weights"]).axes) == 3

    def test_two_rounds_stand_at_the_later_one(self):
        frame = pd.concat([layers_frame(ranks, rounds=[r], to_round=r + 5, between="rounds") for r in (0, 5)])
        axes = self.draw(frame).axes[0]
        assert texts(axes.get_xticklabels()) == ["5", "10"] and "later round" in axes.get_xlabel()

    def test_errors_are_in_percentage_points(self):
        frame = layers_frame(lambda a, r, rest: 0.123, measures=("loss", "error"), rounds=[0])
        figure = self.draw(frame, measure="error")
        assert {text.get_text() for text in figure.axes[0].texts} == {"12"}
        assert "percentage\N{NO-BREAK SPACE}points" in figure.axes[-1].get_ylabel()
        ratio = self.draw(frame, measure="error", column="ratio")
        assert {text.get_text() for text in ratio.axes[0].texts} == {"0.41"}  # over the mean of 0.2 and 0.4

    def test_numbers_stand_where_they_fit_without_a_negative_zero(self):
        figure = self.draw(layers_frame(lambda a, r, rest: -2.5 if len(a) == 4 else -0.01, rounds=[0]))
        assert [text.get_text() for text in figure.axes[0].texts] == ["0.0"] * 3 + ["\N{MINUS SIGN}2.5"]
        assert not self.draw(layers_frame(ranks), numbers=False).axes[0].texts
        assert not self.draw(layers_frame(ranks, rounds=range(60))).axes[0].texts

    @pytest.mark.parametrize(("width", "below"), [(85, True), (170, False)])
    def test_panels_in_a_column_are_as_wide_as_their_titles_and_have_the_colours_below(self, width, below):
        names = dict(zip(NAMES, [f"layer{i}.0.downsample.0" for i in range(4)], strict=True))
        frame = layers_frame(ranks).replace({"layer": names})
        with house_style(Style("print", width)):
            figure = self.draw(frame, regimes=["shallow", "deep"])
            figure.draw_without_rendering()
            left, right, bar = figure.axes
            titles = [axes.title.get_window_extent() for axes in (left, right)]
        assert not titles[0].overlaps(titles[1])
        assert (bar.get_position().y1 < left.get_position().y0) == below
        assert (bar.get_position().x0 > right.get_position().x1) == (not below)

    def test_names_are_thinned_where_there_are_many(self):
        names = [f"layer{i}" for i in range(100)]
        shown = texts(self.draw(layers_frame(ranks, names, range(30))).axes[0].get_yticklabels())
        assert shown == names[::3]

    def test_what_was_not_measured_is_an_error(self):
        frame = layers_frame(ranks)
        with pytest.raises(FedscapeError, match="no rows with measure error; there are loss"):
            self.draw(frame, measure="error")
        with pytest.raises(FedscapeError, match="no rows with split test; there are train"):
            self.draw(frame, split="test")
        with pytest.raises(FedscapeError, match="no rows with regime random; there are full, single"):
            self.draw(frame, regimes=["random"])
        with pytest.raises(FedscapeError, match="no rows with alignment weights; there are none"):
            self.draw(frame, alignment=["weights"])
        only = pd.concat([frame, layers_frame(ranks, regimes=["full"], alignment="weights")])
        with pytest.raises(FedscapeError, match="no rows of shallow with alignment weights"):
            self.draw(only, alignment=["weights"])

    def test_rounding_is_no_barrier(self):
        frame = layers_frame(lambda a, r, rest: 9e-5 if len(a) < 4 else -9e-5, rounds=[0, 10])
        figure = self.draw(frame, regimes=["single"])
        assert not self.grids(figure)[0].any()
        assert "(0: below 0.0001 nats)" in figure.axes[-1].get_ylabel().replace("\n", " ")
        exact = self.draw(layers_frame(lambda a, r, rest: 0.0 if r == 0 else 2e-4))
        assert exact.axes[-1].get_ylabel().count("0.0001") == 0 and self.grids(exact)[0].max() == 2e-4
        # Of an error, the smallest difference is one sample's.
        errors = layers_frame(lambda a, r, rest: 5e-5, measures=("error",))
        assert (self.grids(self.draw(errors, measure="error"))[0] == 5e-5).all()

    def test_rounding_is_what_a_mean_is_below(self):
        """A mean of small barriers is that of the CSV where it is no rounding itself."""
        for rest, mean in ((3e-4, 1.95e-4), (1e-4, 0.0)):
            frame = layers_frame(lambda a, r, end, high=rest: (len(a) < 4) * (high if end == "to" else 9e-5))
            assert np.allclose(self.grids(self.draw(frame))[0][:-1], mean, atol=1e-9)
            both = self.draw(frame, column="ratio")
            assert self.grids(both)[0][:-1].all() == bool(mean)
            assert ("below" in both.axes[-1].get_ylabel()) == (not mean)

    def test_layers_have_the_names_of_the_field(self):
        frame = layers_frame(ranks, ["conv", "stages.0.0.conv1", "classifier"], rounds=[0])
        assert texts(self.draw(frame).axes[0].get_yticklabels()) == ["conv1", "layer1.0.conv1", "fc"]

    @pytest.mark.parametrize("settings", [{"highest": 0.0}, {"lowest": 0.1}, {"regimes": []}])
    def test_impossible_settings_are_refused(self, settings):
        with pytest.raises(ValueError, match=next(iter(settings))):
            heatmap.Settings(**{"regimes": ["single"], **settings})


class TestColours:
    def test_white_is_no_barrier_and_both_sides_are_as_steep(self):
        norm, colours, beyond = barrier_colours([np.array([[-1.0, np.nan]]), np.array([[3.0, np.inf]])], None)
        assert (norm.vmin, norm.vmax, beyond) == (-1, 3, "neither")
        white, blue, red = (np.array(colours(norm(value))[:3]) for value in (0.0, -1.0, 1.0))
        assert (white > 0.95).all()
        assert blue[2] > blue[0] and red[0] > red[2]
        # A third of the way to the darkest, on either side.
        assert abs((1 - blue[0]) - (1 - red[2])) < 0.1

    @pytest.mark.parametrize(
        ("values", "limits", "beyond"),
        [
            ([-1, 3], (-1, 2), "max"),
            ([-4, 1], (-2, 2), "min"),
            ([-4, 3], (-2, 2), "both"),
            ([0.1, 0.2], (0, 2), "neither"),
        ],
    )
    def test_colours_end_at_the_highest(self, values, limits, beyond):
        norm, _, exceeded = barrier_colours([np.array([values], float)], 2.0)
        assert (norm.vmin, norm.vmax) == limits and exceeded == beyond

    @pytest.mark.parametrize(
        ("values", "ends", "limits", "beyond"),
        [
            ([0.1, 1.0], (None, None), (0, 1), "neither"),
            ([-0.1, 1.0], (2.0, 0.0), (0, 2), "min"),
            ([0.5, 3.0], (2.0, 0.0), (0, 2), "max"),
        ],
    )
    def test_barriers_that_are_not_negative_are_ever_darker(self, values, ends, limits, beyond):
        norm, colours, exceeded = barrier_colours([np.array([values])], *ends)
        assert (norm.vmin, norm.vmax, exceeded) == (*limits, beyond)
        lightness = colours(np.linspace(0, 1, 20))[:, :3] @ [0.299, 0.587, 0.114]
        assert (np.diff(lightness) < 0).all() and lightness[0] > 0.99

    def test_one_scale_gives_a_barrier_one_colour_in_every_figure(self):
        shades = []
        for values in ([-0.2, 0.5], [-3.0, 1.0], [0.5, 2.0]):
            norm, colours, _ = barrier_colours([np.array([values])], 2.0)
            shades.append(colours(norm(0.5))[:3])
        assert np.allclose(shades, shades[0], atol=0.02)  # of 256 shades

    def test_no_barrier_at_all_is_white(self):
        norm, colours, _ = barrier_colours([np.zeros((2, 2))], None)
        assert (np.array(colours(norm(0.0))[:3]) > 0.95).all()


class TestProfile:
    def draw(self, frame, labels=(), **settings):
        return profile.draw(
            {"layers": frame}, profile.Settings(**{"regimes": ["shallow"], **settings}), labels
        )

    def lines(self, axes):
        return [line for line in axes.lines if len(line.get_xdata()) > 2]

    def test_a_line_per_regime_over_the_layers_in_order(self):
        figure = self.draw(layers_frame(ranks), regimes=["single", "shallow", "deep"])
        (axes,) = figure.axes
        single, shallow, deep = self.lines(axes)
        assert [list(line.get_xdata()) for line in (single, shallow, deep)] == [[0, 1, 2, 3]] * 3
        assert list(single.get_ydata()) == [20, 31, 42, 53]
        assert list(shallow.get_ydata()) == [20, 30, 40, 50]
        assert list(deep.get_ydata()) == [50, 51, 52, 53]
        assert texts(axes.get_xticklabels()) == list(NAMES)
        assert axes.get_title() == "round 20"
        assert texts(figure.legends[0].get_texts()) == [
            "single layers",
            "shallow cumulation",
            "deep cumulation",
        ]

    def test_orders_without_a_direction_count_layers(self):
        (axes,) = self.draw(layers_frame(ranks), regimes=["outside-in", "deep"]).axes
        outside, deep = self.lines(axes)
        assert list(outside.get_xdata()) == list(deep.get_xdata()) == [1, 2, 3, 4]
        assert list(outside.get_ydata()) == [20, 50, 50, 50] and list(deep.get_ydata()) == [53, 52, 51, 50]
        assert axes.get_xlabel() == "number of averaged layers"
        with pytest.raises(ValueError, match="outside-in cannot stand beside"):
            profile.Settings(regimes=["outside-in", "single"])

    @pytest.mark.parametrize(("moment", "shown"), [("last", 20), (10, 10), (0.4, 10), (0.1, 0), (1.0, 20)])
    def test_a_round_is_a_number_a_share_or_the_last(self, moment, shown):
        (axes,) = self.draw(layers_frame(ranks), round=moment).axes
        assert axes.get_title() == f"round {shown}"
        assert self.lines(axes)[0].get_ydata()[0] == shown

    def test_a_round_that_was_not_measured_is_an_error(self):
        with pytest.raises(FedscapeError, match="no rows of round 7; there are 0, 10, 20"):
            self.draw(layers_frame(ranks), round=7)

    def test_pairs_and_rests_are_a_mean_in_a_band(self):
        pairs = [
            layers_frame(lambda a, r, rest, c=client: c + (rest == "to"), client=0, to_client=client)
            for client in (1, 2)
        ]
        (axes,) = self.draw(pd.concat(pairs)).axes
        assert np.allclose(self.lines(axes)[0].get_ydata(), [2, 2, 2, 1.5])
        corners = axes.collections[0].get_paths()[0].vertices
        assert (corners[:, 1].min(), corners[:, 1].max()) == (1, 3)

    def test_single_layers_are_marks_with_bars_and_no_line_between_them(self):
        frame = layers_frame(lambda a, r, rest: min(a) + (rest == "to"))
        figure = self.draw(frame, regimes=["single", "shallow"])
        (axes,) = figure.axes
        single, shallow = self.lines(axes)
        assert single.get_linestyle() == "None" != shallow.get_linestyle()
        assert list(single.get_ydata()) == [0.5, 1.5, 2.5, 3.5]
        bars = next(c for c in axes.collections if isinstance(c, LineCollection))
        assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[i, i + 1] for i in range(4)]
        assert [handle.get_linestyle() == "None" for handle in figure.legends[0].legend_handles] == [
            True,
            False,
        ]

    def test_rounding_is_no_barrier(self):
        figure = self.draw(layers_frame(lambda a, r, rest: 3e-7), regimes=["single", "shallow"])
        (axes,) = figure.axes
        assert not any(np.any(line.get_ydata()) for line in self.lines(axes))
        assert axes.get_ylabel().endswith("(0: below 0.0001 nats)")
        assert "below" not in self.draw(layers_frame(ranks)).axes[0].get_ylabel()

    def test_values_stand_beside_those_of_both_models(self):
        frame = layers_frame(lambda a, r, rest: 1.5)
        figure = self.draw(frame, column="value")
        level = next(line for line in figure.axes[0].lines if line.get_label() == "mean of both models")
        assert set(level.get_ydata()) == {2.0} and set(self.lines(figure.axes[0])[0].get_ydata()) == {3.5}

    def test_single_layers_stand_beside_the_full_average(self):
        figure = self.draw(layers_frame(ranks), regimes=["single"])
        assert texts(figure.legends[0].get_texts()) == ["single layers", "all layers"]
        level = next(line for line in figure.axes[0].lines if line.get_label() == "all layers")
        assert set(level.get_ydata()) == {50}

    def test_both_measures_and_groups_have_panels_whose_heights_agree(self):
        frame = pd.concat(
            [
                layers_frame(
                    lambda a, r, rest, t=top: t, measures=("loss", "error"), partition=name, group=name
                )
                for name, top in (("iid", 0.4), ("dir0.1", 0.2))
            ]
        )
        figure = self.draw(frame, measure="both")
        assert [axes.get_title() for axes in figure.axes] == ["iid, round 20"] * 2 + ["dir0.1, round 20"] * 2
        loss, error, other_loss, other_error = figure.axes
        assert loss.get_ylim() == other_loss.get_ylim() and error.get_ylim() == other_error.get_ylim()
        assert "loss" in loss.get_ylabel() and "error" in error.get_ylabel()


class TestCurvesOfPairs:
    def draw(self, frame, name="layers", labels=(), **settings):
        settings = {"measure": "barrier", "rows": {"regime": "full", "measure": "loss"}, **settings}
        return curves.draw({name: frame}, curves.Settings(**settings), labels)

    def frame(self, **columns):
        return layers_frame(
            lambda a, r, rest: r / 10, splits=("test", "train"), measures=("loss", "error"), **columns
        )

    def test_rows_choose_and_lines_split(self):
        figure = self.draw(
            self.frame(),
            rows={"regime": "full", "measure": "loss", "split": ["train", "test"]},
            lines="split",
        )
        assert texts(figure.legends[0].get_texts()) == ["training samples", "test samples"]
        lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
        assert [list(line.get_ydata()) for line in lines] == [[0, 1, 2]] * 2
        assert figure.axes[0].get_ylabel() == "barrier of the loss (nats)"

    def test_rounding_is_no_barrier_and_the_label_says_so(self):
        settings = {"rows": {"regime": "full", "measure": "loss", "split": "train"}}
        seeds = [
            layers_frame(lambda a, r, rest, t=top: t, seed=seed, to_seed=seed, group=f"g{seed}")
            for seed, top in enumerate((9e-5, 3e-4))
        ]
        small, large = (self.draw(frame, **settings) for frame in (seeds[0], pd.concat(seeds)))
        assert not small.axes[0].lines[0].get_ydata().any()
        assert small.axes[0].get_ylabel().endswith("\n(0: below 0.0001 nats)")
        assert np.allclose(large.axes[0].lines[0].get_ydata(), 1.95e-4, atol=1e-9)
        assert "below" not in large.axes[0].get_ylabel()

    def test_a_line_per_pair_of_models_with_a_band_over_seeds_and_clients(self):
        pairs = [
            self.frame(method="sgd", to_method=other, seed=seed, to_seed=seed, to_client=client, group=f"g{seed}")
            for other in ("sgd-b", "sgd-c") for seed in (0, 1) for client in (1, 2)
        ]  # fmt: skip
        figure = self.draw(pd.concat(pairs), rows={"regime": "full", "measure": "error", "split": "train"})
        assert texts(figure.legends[0].get_texts()) == [f"sgd {ARROW} sgd-b", f"sgd {ARROW} sgd-c"]
        assert len(figure.axes[0].collections) == 2
        label = figure.axes[0].get_ylabel().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")
        assert label == "barrier of the error (percentage points) on training samples"

    def test_distances_by_layer(self):
        frame = distances_frame(lambda depth, number: 0.5 - depth / 10 - number / 100)
        figure = self.draw(frame, "distances", measure="cosine", rows={"depth": [3, -1]}, lines="layer")
        assert texts(figure.legends[0].get_texts()) == ["head", "all layers"]
        head, whole = figure.axes[0].lines
        assert np.allclose(head.get_ydata(), [0.2, 0.1]) and np.allclose(whole.get_ydata(), [0.6, 0.5])

    def test_many_layers_go_from_dark_to_light_beside_all_of_them(self):
        frame = distances_frame(lambda depth, number: 0.5, [f"layer{i}" for i in range(12)])
        figure = self.draw(frame, "distances", measure="l2", rows=None, lines="layer")
        colours = [np.array(to_rgb(line.get_color())) for line in figure.axes[0].lines]
        lightness = [0.299 * red + 0.587 * green + 0.114 * blue for red, green, blue in colours[1:]]
        assert len(colours) == 13 and not colours[0].any()
        assert lightness == sorted(lightness)

    def test_two_rounds_stand_at_the_later_one(self):
        frame = pd.concat([self.frame(rounds=[r], to_round=r + 5) for r in (0, 5)])
        figure = self.draw(frame, rows={"regime": "full", "measure": "loss", "split": "train"})
        assert list(figure.axes[0].lines[0].get_xdata()) == [5, 10]

    def test_rows_that_are_not_there_are_errors(self):
        with pytest.raises(FedscapeError, match="rows: no row of layers has regime=random"):
            self.draw(self.frame(), rows={"regime": "random"})
        with pytest.raises(FedscapeError, match="layers has no column speed"):
            self.draw(self.frame(), rows={"speed": 1})
        with pytest.raises(FedscapeError, match="layers has no column colour"):
            self.draw(self.frame(), lines="colour")
        with pytest.raises(
            FedscapeError, match="several rows for one run and round; narrow `where` or `rows`"
        ):
            self.draw(self.frame())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("barrier", "loss"), "barrier of the loss (nats)"),
        (("ratio", "error", "test"), "barrier of the error / mean of both models on test samples"),
        (("value", "error", "train"), "error of the averaged model (%) on training samples"),
    ],
)
def test_axes_of_barriers_tell_what_they_are_of(arguments, words):
    assert barrier_label(*arguments).replace("\N{NO-BREAK SPACE}", " ") == words


def test_frames_have_each_order_with_all_layers_in_the_end():
    for regime in ("shallow", "deep", "random", "middle-out", "outside-in"):
        for count in (4, 5, 8):
            steps = list(mixtures(regime, count))
            assert [len(averaged) for averaged, _ in steps] == list(range(1, count + 1))
            assert sorted(added for _, added in steps) == list(range(count))
