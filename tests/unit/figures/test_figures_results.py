"""Figures of final results: points and intervals along an axis, ranks under two circumstances."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from result_frames import results_frame
from run_frames import rounds_frame, runs_frame
from scipy import stats

from fedscape.errors import FedscapeError
from fedscape.figures.kinds import finals, ranking
from fedscape.figures.labels import value_names

LABELS = [
    {"label": "IID", "where": {"partition": ["iid"]}},
    {"label": "from scratch", "where": {"init": ["random"]}},
    {"label": "A of iid", "where": {"method": ["a"], "partition": ["iid"]}},
    {"label": "Tuned", "where": {"method": ["tuned.g1", "tuned.g2"]}},
]


def sweep(values, name="local_epochs", **names):
    """A run for each value of a setting in a grid and each seed, with accuracy value / 100 + seed / 1000."""
    return [
        {"method": f"epochs.g{i}", "grid": f"lr=0.1;{name}={value}", "seed": seed, "test_accuracy": value / 100 + seed / 1000, **names}
        for i, value in enumerate(values, start=1)
        for seed in (0, 1)
    ]  # fmt: skip


def draw(kind, frame, labels=(), beside=None, **settings):
    return kind.draw({"runs": frame, **(beside or {})}, kind.Settings(**settings), labels)


def wandering(*runs):
    """Runs that end at 50 % in their last round, and their ten rounds; of each its names, and rounds 9 and 10."""
    rounds = [
        rounds_frame([0.0] * 9 + ends, column, **names)
        for names, ends in runs
        for column in ("test_accuracy", "validation_accuracy")
    ]
    return runs_frame(*(names for names, _ in runs)), {"rounds": pd.concat(rounds)}


def heights(axes):
    """Means of each series in a panel, by errorbar; crosses left out."""
    return [container.lines[0].get_xydata() for container in axes.containers]


class TestFinals:
    def test_names_stand_side_by_side_with_students_interval(self):
        figure = draw(
            finals, results_frame({"iid": 0.9, "dir0.1": 0.7}), LABELS, along="partition", lines="init"
        )
        (axes,) = figure.axes
        assert [text.get_text() for text in axes.get_xticklabels()] == ["IID", "dir0.1"]
        random, pretrained = heights(axes)
        assert np.allclose(random[:, 1], [0.905, 0.705]) and np.allclose(pretrained[:, 1], [0.955, 0.755])
        assert (random[:, 0] < pretrained[:, 0]).all() and np.allclose(random[:, 0].round(), [0, 1])
        (bars,) = axes.containers[0].lines[2]
        low, high = stats.t.interval(0.95, 1, loc=0.905, scale=stats.sem([0.9, 0.91]))
        assert np.allclose(bars.get_segments()[0][:, 1], [low, high])
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["from scratch", "pretrained"]
        assert axes.get_ylabel() == "test accuracy (%)"

    def test_the_bootstrap_of_two_seeds_spans_them(self):
        figure = draw(
            finals, results_frame({"iid": 0.9}), along="partition", lines="init", interval="bootstrap"
        )
        (bars,) = figure.axes[0].containers[0].lines[2]
        assert np.allclose(bars.get_segments()[0][:, 1], [0.9, 0.91])

    def test_runs_that_wander_end_where_their_last_fifth_is_on_average(self):
        """And the point of a grid is chosen by what is drawn."""
        frame, rounds = wandering(
            ({"partition": "iid", "method": "a.g1"}, [0.7, 0.5]), ({"partition": "iid", "method": "a.g2"}, [0.8, 0.6]),
            ({"partition": "dir0.1", "method": "a.g1"}, [0.2, 0.6]), ({"partition": "dir0.1", "method": "a.g2"}, [0.2, 0.1]),
        )  # fmt: skip
        settings = {"along": "partition", "choose": "validation_accuracy"}
        figure = draw(finals, frame, beside=rounds, rounds="last-fifth", **settings)
        assert np.allclose(heights(figure.axes[0])[0][:, 1], [0.7, 0.4])
        assert figure.axes[0].get_ylabel() == "test accuracy (%),\nmean of the last fifth"
        at_the_end = draw(finals, frame, beside=rounds, **settings)
        assert np.allclose(heights(at_the_end.axes[0])[0][:, 1], 0.5)
        assert at_the_end.axes[0].get_ylabel() == "test accuracy (%)"
        with pytest.raises(FedscapeError, match="rounds last-fifth: of table runs, and this is curvature"):
            settings = finals.Settings("method", column="test_accuracy", rounds="last-fifth")
            finals.draw({"curvature": frame, **rounds}, settings)

    def test_a_setting_of_a_grid_is_a_line_over_numbers(self):
        frame = runs_frame(*sweep([10, 2, 1]), *sweep([1, 2, 10], init="pretrained"))
        figure = draw(finals, frame, along="local_epochs", lines="init", log_along=True)
        for points in heights(figure.axes[0]):
            assert points.tolist() == pytest.approx(np.array([[1, 0.0105], [2, 0.0205], [10, 0.1005]]))
        assert (
            figure.axes[0].get_xlabel() == "local epochs in a round" and figure.axes[0].get_xscale() == "log"
        )

    def test_the_best_point_is_drawn_for_each_value_of_the_sweep(self):
        rows = [
            {"method": f"e.g{i}", "grid": f"lr={lr};local_epochs={epochs}", "validation_accuracy": held_out, "test_accuracy": i / 10}
            for i, (lr, epochs, held_out) in enumerate([(1, 1, 0.1), (2, 1, 0.9), (1, 5, 0.8), (2, 5, 0.2)], start=1)
        ]  # fmt: skip
        figure = draw(finals, runs_frame(*rows), along="local_epochs", choose="validation_accuracy")
        assert heights(figure.axes[0])[0].tolist() == pytest.approx(np.array([[1, 0.2], [5, 0.3]]))
        with pytest.raises(FedscapeError, match="several runs of one seed"):
            draw(finals, runs_frame(*rows), along="local_epochs")

    def test_a_panel_a_data_set_with_a_scale_of_its_own(self):
        frame = pd.concat([results_frame({"iid": 0.9}), results_frame({"iid": 0.2}).assign(dataset="text")])
        figure = draw(finals, frame, along="init", panels="dataset", same_scale=False)
        assert [axes.get_title() for axes in figure.axes] == ["digits", "text"]
        assert figure.axes[0].get_ylim() != figure.axes[1].get_ylim()
        alike = draw(finals, frame, along="init", panels="dataset")
        assert alike.axes[0].get_ylim() == alike.axes[1].get_ylim()

    def test_a_run_that_diverged_is_a_cross_without_a_mean(self):
        frame = results_frame({"iid": 0.9, "dir0.1": 0.7})
        frame.loc[
            (frame["partition"] == "iid") & (frame["init"] == "random") & (frame["seed"] == 1), "diverged"
        ] = True
        figure = draw(finals, frame, along="partition", lines="init")
        assert [len(points) for points in heights(figure.axes[0])] == [1, 2]
        assert "diverged" in [text.get_text() for text in figure.legends[0].get_texts()]

    def test_rows_of_another_table(self):
        rows = [{"quantity": quantity, "round": number, "value": value, "init": init, "dataset": "d"}
                for quantity, number, value, init in (("eigenvalue", 0, 5.0, "random"), ("eigenvalue", 9, 1.0, "random"),
                                                      ("trace", 0, 7.0, "random"), ("eigenvalue", 0, 2.0, "pretrained"))]  # fmt: skip
        frame = runs_frame(*rows).drop(columns=["diverged", "grid"])
        rows = {"quantity": "eigenvalue", "round": [0]}
        settings = finals.Settings(along="init", column="value", rows=rows, log=True)
        figure = finals.draw({"curvature": frame}, settings)
        assert [point[1] for point in heights(figure.axes[0])[0]] == [5.0, 2.0]
        assert figure.axes[0].get_yscale() == "log"

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"along": "momentum"}, "along momentum: method fedavg has no such setting in a grid; allowed: dataset, model"),
            ({"along": "partition", "column": "f1"}, "runs has no column f1; it has study"),
            ({"along": "partition", "column": "method"}, "column method of runs holds words"),
            ({"along": "partition", "rows": {"round": 1}}, "runs has no column round"),
            ({"along": "partition", "rows": {"seed": 7}}, "no finite value in the rows drawn"),
        ],
    )  # fmt: skip
    def test_what_is_not_there_is_one_line(self, settings, message):
        with pytest.raises(FedscapeError, match=message) as error:
            draw(finals, results_frame({"iid": 0.9}), **settings)
        assert "\n" not in str(error.value)


class TestRanking:
    def frame(self):
        """Method a is best from random weights and last from pre-trained ones."""
        accuracies = {"a": (0.9, 0.5), "b": (0.8, 0.7), "tuned.g1": (0.1, 0.6), "tuned.g2": (0.7, 0.1)}
        return runs_frame(
            *(
                {"method": method, "init": init, "seed": seed, "test_accuracy": value + seed / 100, "validation_accuracy": value}
                for method, values in accuracies.items()
                for init, value in zip(("random", "pretrained"), values, strict=True)
                for seed in (0, 1)
            )
        )  # fmt: skip

    def test_lines_go_from_rank_to_rank_of_the_best_points(self):
        figure = draw(ranking, self.frame(), LABELS, choose="validation_accuracy")
        (axes,) = figure.axes
        lines = [line.get_ydata() for line in axes.lines if line.get_marker() not in ("", "None")]
        assert [list(line) for line in lines] == [[1, 3], [2, 1], [3, 2]]
        assert axes.get_title() == "Kendall's τ = -0.33"
        assert [text.get_text() for text in axes.get_xticklabels()] == ["from scratch", "pretrained"]
        assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the best on top

    def test_pairs_that_nearly_tie_do_not_count_for_tau(self):
        accuracies = {
            "random": (0.9, 0.8, 0.6),
            "pretrained": (0.5, 0.7, 0.65),
        }  # b and c tie from the second
        rows = [
            {"method": method, "init": init, "test_accuracy": value}
            for init, values in accuracies.items()
            for method, value in zip("abc", values, strict=True)
        ]
        titles = [draw(ranking, runs_frame(*rows), tie=tie).axes[0].get_title() for tie in (0, 0.08, 0.3)]
        assert titles == ["Kendall's τ = -0.33", "Kendall's τ = -1.00 (pairs more than 8 points apart)", ""]

    def test_tau_is_of_the_ranks_that_are_drawn(self):
        """Where a method diverged with a seed, all are ranked by the others alone."""
        values = {
            "a": {"random": (0.5, 0.5, None), "pretrained": (0.4, 0.4, 0.4)},
            "b": {"random": (0.4, 0.4, 0.9), "pretrained": (0.5, 0.5, 0.5)},
        }
        rows = [
            {"method": method, "init": init, "seed": seed, "test_accuracy": value or 0.1, "diverged": value is None}
            for method, starts in values.items() for init, accuracies in starts.items() for seed, value in enumerate(accuracies)
        ]  # fmt: skip
        (axes,) = draw(ranking, runs_frame(*rows)).axes
        lines = [list(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 2]
        assert lines[:2] == [[1, 2], [2, 1]] and axes.get_title() == "Kendall's τ = -1.00"

    def test_settings_that_cannot_be_are_refused(self):
        for settings, message in (
            ({"tie": -1.0}, "tie must be"), ({"fewest": 0}, "fewest must be"),
            ({"column": "best_test_accuracy", "rounds": "last-fifth"}, "which is of one round"),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=message):
                ranking.Settings(**settings)

    def test_ranks_are_of_the_last_fifth_where_asked_for(self):
        frame, rounds = wandering(({"method": "a"}, [0.1, 0.5]), ({"method": "b"}, [0.8, 0.6]))
        texts = draw(ranking, frame, beside=rounds, rounds="last-fifth").axes[0].texts
        assert [text.get_text() for text in texts] == ["70.0  b", "30.0  a"]
        with pytest.raises(FedscapeError, match="rounds has no column test_loss"):
            draw(finals, frame, beside=rounds, along="method", column="test_loss", rounds="last-fifth")

    def test_names_stand_beside_both_ends_with_their_means(self):
        texts = [
            text.get_text()
            for text in draw(ranking, self.frame(), LABELS, choose="validation_accuracy").axes[0].texts
        ]
        assert texts == ["a  90.5", "b  80.5", "Tuned  70.5", "70.5  b", "60.5  Tuned", "50.5  a"]

    def test_of_a_loss_the_lowest_is_best(self):
        frame = (
            self.frame()
            .query("method != 'tuned.g1'")
            .assign(test_loss=lambda runs: 1 - runs["test_accuracy"])
        )
        lines = [line.get_ydata() for line in draw(ranking, frame, column="test_loss").axes[0].lines]
        assert list(lines[0]) == [1, 2]

    def test_ranks_that_seeds_change_have_a_bar(self):
        rows = [{"method": m, "seed": s, "test_accuracy": v} for m, values in (("a", (1, 0)), ("b", (0, 0.5)), ("c", (9, 9)))
                for s, v in enumerate(values)]  # fmt: skip
        axes = draw(ranking, runs_frame(*rows)).axes[0]
        bars = [line.get_ydata() for line in axes.lines if line.get_marker() in ("", "None")]
        assert [list(bar) for bar in bars] == [[2, 3], [2, 3]]

    def test_bars_stand_side_by_side_between_the_lines_and_the_names(self):
        rows = [
            {"method": m, "init": init, "seed": s, "test_accuracy": v}
            for init in ("random", "pretrained")
            for m, values in (("a", (1, 0)), ("b", (0, 1.1)), ("c", (0.4, 0.6)))
            for s, v in enumerate(values)
        ]
        figure = draw(ranking, runs_frame(*rows))
        (axes,) = figure.axes
        bars = [line.get_xdata()[0] for line in axes.lines if line.get_marker() in ("", "None")]
        assert len(set(bars)) == len(bars) == 6 and not any(0 <= at <= 1 for at in bars)
        figure.draw_without_rendering()
        left, right = (axes.transData.transform((at, 1))[0] for at in (min(bars), max(bars)))
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.x1 < left or box.x0 > right
            assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1

    def test_a_method_that_diverged_stands_below_with_the_word(self):
        frame = self.frame()
        frame.loc[(frame["method"] == "a") & (frame["init"] == "random"), "diverged"] = True
        texts = [text.get_text() for text in draw(ranking, frame, choose="validation_accuracy").axes[0].texts]
        assert texts[:3] == ["b  80.5", "tuned  70.5", "a  diverged"]

    def test_grid_points_without_a_choice_are_refused(self):
        with pytest.raises(FedscapeError, match="several runs of one seed"):
            draw(ranking, self.frame(), LABELS)


def test_values_are_called_by_labels_about_their_column_alone():
    frame = runs_frame({"method": "a"}, {"method": "tuned.g2"}, {"method": "other.g1"})
    assert list(value_names(frame, "method", LABELS)) == ["a", "Tuned", "other"]
    assert list(value_names(frame, "partition", LABELS)) == ["IID"] * 3


def test_figures_leave_no_global_state():
    before = dict(matplotlib.rcParams)
    draw(ranking, results_frame({"iid": 0.9}, methods=("a", "b")))
    assert dict(matplotlib.rcParams) == before
