"""Measures of curvature.csv, and its rows and densities in figures."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from claim_frames import curvature, measured, standard_error
from figure_frames import RUN
from matplotlib.colors import to_hex
from scipy.stats import spearmanr

from fedscape.errors import FedscapeError
from fedscape.figures.kinds import curves, scatter, spectrum
from fedscape.plugins import load
from fedscape.tables.rank_correlation import rank_correlation

NUMBERS = {"iid": 1.0, "dir0.1": 3.0}


def frame(*rows):
    return {"curvature": pd.DataFrame([{"run": "r", **row} for row in rows])}


def of_clients(quantity, values, **columns):
    return [
        curvature(quantity, value, of="client", client=client, **columns)
        for client, value in enumerate(values)
    ]


def test_eigenvalues_at_either_end_and_at_the_first_or_last_round():
    rows = [curvature("eigenvalue", 90.0, 0), curvature("eigenvalue", 4.0, 5)]
    rows += [curvature("eigenvalue", 3.0, 5, index=2), curvature("eigenvalue", -2.0, 5, index=-1)]
    assert measured("eigenvalue", frame(*rows)) == 4
    assert measured("eigenvalue", frame(*rows), at="first") == 90
    assert measured("eigenvalue", frame(*rows), index=2) == 3
    assert measured("eigenvalue", frame(*rows), index=-1) == -2
    assert math.isnan(measured("eigenvalue", frame(*rows), index=3))
    assert math.isnan(measured("eigenvalue", frame(*rows), of="clients"))


def test_of_clients_it_is_their_mean_on_the_samples_asked_for():
    rows = [curvature("trace", 50.0), *of_clients("trace", [1.0, 3.0])]
    rows += of_clients("trace", [10.0, 20.0], data="own")
    assert measured("trace", frame(*rows)) == 50
    assert measured("trace", frame(*rows), of="clients") == 2
    assert measured("trace", frame(*rows), of="clients", data="own") == 15


def test_the_trace_of_a_layer_and_of_all_runs():
    rows = [curvature("trace", 5.0), curvature("layer-trace", 2.0, layer="conv1")]
    other = [curvature("trace", 7.0), curvature("layer-trace", 4.0, layer="conv1")]
    both = pd.concat([frame(*rows)["curvature"], frame(*other)["curvature"].assign(run="s")])
    assert measured("trace", {"curvature": both}) == 6
    assert measured("trace", {"curvature": both}, layer="conv1") == 3
    assert math.isnan(measured("trace", {"curvature": both}, layer="conv2"))
    # One run that was not measured is not made up for by the other.
    both.loc[both["run"] == "s", "value"] = math.nan
    assert math.isnan(measured("trace", {"curvature": both}))


def test_agreement_by_definition_and_samples():
    rows = [
        curvature(quantity, number, of="clients", definition=definition, data=data, estimator="exact")
        for number, (quantity, definition, data) in enumerate(
            (q, d, s) for q in ("H_N", "H_D") for d in ("paper", "code") for s in ("global", "own")
        )
    ]
    assert measured("hessian-agreement", frame(*rows), quantity="H_N") == 0
    assert measured("hessian-agreement", frame(*rows), quantity="H_D", definition="code", data="own") == 7


def test_sharpness_by_measure_radius_and_model():
    rows = [curvature("worst", 1.0, radius=0.05), curvature("worst", 3.0, radius=0.1)]
    rows += [curvature("average", 9.0, radius=0.05), curvature("worst", 7.0, radius=0.1, of="mean")]
    assert measured("sharpness", frame(*rows), quantity="worst", radius=0.05) == 1
    assert measured("sharpness", frame(*rows), quantity="worst", radius=0.1) == 3
    assert measured("sharpness", frame(*rows), quantity="worst", radius=0.1, of="mean") == 7
    assert math.isnan(measured("sharpness", frame(*rows), quantity="rays", radius=0.1))


def test_the_flatness_gap_in_all_its_forms():
    """H_k(w_k) = 2, H(w_k) = 5, H_k(w) = 4 and H(w) = 3, of means over clients; after the server's step 6."""
    rows = [curvature("worst", 3.0, radius=0.1, of="mean"), curvature("worst", 6.0, radius=0.1)]
    rows += of_clients("worst", [1.0, 3.0], radius=0.1, data="own")
    rows += of_clients("worst", [4.0, 6.0], radius=0.1)
    rows += [{**row, "of": "mean"} for row in of_clients("worst", [3.5, 4.5], radius=0.1, data="own")]
    rows += [{**row, "radius": 0.2, "value": 99.0} for row in rows]

    def gap(**settings):
        return measured("flatness-gap", frame(*rows), quantity="worst", radius=0.1, **settings)

    assert gap() == 1 and gap(form="ratio") == 1.5 and gap(form="log-ratio") == math.log(1.5)
    assert gap(data="own") == 2 and gap(clients="global") == -2
    assert gap(of="global") == 4
    assert math.isnan(measured("flatness-gap", frame(*rows)))
    eigenvalues = [curvature("eigenvalue", 8.0, of="mean"), *of_clients("eigenvalue", [2.0, 3.0], data="own")]
    eigenvalues = [{**row, "index": 1} for row in eigenvalues]
    assert measured("flatness-gap", frame(*eigenvalues)) == 5.5
    for negative in (0, 1, 2):  # an eigenvalue: of the mean's, which a ratio may have, or of a client's
        rows = [{**row, "value": -8.0} if i == negative else row for i, row in enumerate(eigenvalues)]
        assert math.isnan(measured("flatness-gap", frame(*rows), form="log-ratio"))
        assert math.isnan(measured("flatness-gap", frame(*rows), form="ratio")) == (negative > 0)
    with pytest.raises(ValueError, match="quantity worst needs a radius"):
        load("tables.measures", "flatness-gap").Settings(quantity="worst")
    with pytest.raises(ValueError, match="quantity trace has no radius"):
        load("tables.measures", "flatness-gap").Settings(quantity="trace", radius=0.1)
    with pytest.raises(ValueError, match="data must be global with of global"):
        load("tables.measures", "flatness-gap").Settings(of="global", data="own")


def methods(sharpness, accuracies, **columns):
    """Frames of runs of as many methods."""
    names = [f"m{number}" for number in range(len(sharpness))]
    runs = [
        {**RUN, "method": name, "run": name, "test_accuracy": accuracy, "diverged": False}
        for name, accuracy in zip(names, accuracies, strict=True)
    ]
    rows = [
        {**RUN, "method": name, "run": name, **curvature("worst", value, radius=0.1, **columns)}
        for name, value in zip(names, sharpness, strict=True)
    ]
    return {"runs": pd.DataFrame(runs), "rounds": pd.DataFrame(), "curvature": pd.DataFrame(rows)}


WORST = {"quantity": "worst", "radius": 0.1}


def test_sharper_models_that_err_more_are_correlated():
    frames = methods([1.0, 2.0, 3.0, 4.0, 5.0], [0.9, 0.8, 0.7, 0.6, 0.5])
    assert measured("rank-correlation", frames, **WORST) == pytest.approx(1)
    # The next lower value is 1 - 6 * 2 / (5 * 24) = 0.9.
    low = math.tanh(math.atanh(0.9) - 1.959964 * math.sqrt((1 + 0.9**2 / 2) / 2))
    assert standard_error("rank-correlation", frames, **WORST) == pytest.approx((1 - low) / 1.959964)
    frames = methods([1.0, 2.0, 3.0, 4.0, 5.0], [0.5, 0.9, 0.8, 0.7, 0.6])
    expected = spearmanr([1, 2, 3, 4, 5], [-0.5, -0.9, -0.8, -0.7, -0.6]).statistic
    assert measured("rank-correlation", frames, **WORST) == pytest.approx(expected)
    half = math.tanh(1.959964 * math.sqrt(1 / 2))
    assert expected == pytest.approx(0)
    assert standard_error("rank-correlation", frames, **WORST) == pytest.approx(half / 1.959964)
    flat = frames["curvature"].assign(quantity="rays")
    rays = {"quantity": "rays", "radius": 0.1}
    assert measured("rank-correlation", {**frames, "curvature": flat}, **rays) == pytest.approx(-expected)
    less = {**frames, "curvature": frames["curvature"].iloc[1:]}
    assert math.isnan(measured("rank-correlation", less, **WORST)), "a run was not measured"
    assert math.isnan(measured("rank-correlation", methods([1.0, 2.0], [0.1, 0.2]), **WORST))
    assert math.isnan(measured("rank-correlation", methods([1.0] * 4, [0.1, 0.2, 0.3, 0.4]), **WORST))


def test_the_interval_of_a_rank_correlation_covers_the_truth():
    """Of normal pairs with correlation r, Spearman's is 6 / pi asin(r / 2)."""
    r, draw, inside = 0.6, np.random.default_rng(0), 0
    truth = 6 / math.pi * math.asin(r / 2)
    for _ in range(1000):
        x = draw.standard_normal(20)
        found = rank_correlation(x, r * x + math.sqrt(1 - r * r) * draw.standard_normal(20))
        inside += found.low <= truth <= found.high
    assert 0.93 < inside / 1000 < 0.97


@pytest.mark.parametrize("pairs", [4, 5, 6])
def test_ranks_that_agree_by_chance_are_seldom_sure(pairs):
    """Over all orders of so few pairs, which independence makes equally likely."""
    first = np.arange(pairs)
    found = [rank_correlation(first, np.array(order)) for order in itertools.permutations(first)]
    for exclude in (
        [one.low > 0 or one.high < 0 for one in found],
        [abs(one.rho) > 1.96 * one.standard_error for one in found],
    ):
        assert np.mean(exclude) <= 0.05


# Figures


class TestScatter:
    def draw(self, frames, **settings):
        given = {name: frames[name] for name in ("curvature", "runs")}
        return scatter.draw(given, scatter.Settings(rows=WORST, **settings))

    def test_a_point_per_run_with_the_correlation_of_all(self):
        frames = methods([1.0, 2.0, 3.0, 4.0, 5.0], [0.5, 0.9, 0.8, 0.7, 0.6])
        figure = self.draw(frames)
        (axes,) = figure.axes
        assert [tuple(line.get_xydata()[0]) for line in axes.lines] == list(
            zip([1, 2, 3, 4, 5], [0.5, 0.9, 0.8, 0.7, 0.6], strict=True)
        )
        assert axes.get_title() == "rank correlation 0.00\n[-0.88,\N{NO-BREAK SPACE}0.88], 5 runs"
        assert len(figure.legends[0].get_texts()) == 5

    def test_results_are_of_the_last_fifth_where_asked_for(self):
        frames = methods([1.0, 2.0, 3.0], [0.5, 0.9, 0.8])
        rounds = pd.concat(
            frames["runs"].assign(round=number, test_accuracy=frames["runs"]["test_accuracy"] - 0.1 * (number == 9))
            for number in range(11)
        )  # fmt: skip
        given = {"curvature": frames["curvature"], "runs": frames["runs"], "rounds": rounds}
        (axes,) = scatter.draw(given, scatter.Settings(rows=WORST, rounds="last-fifth")).axes
        assert np.allclose([line.get_ydata()[0] for line in axes.lines], [0.45, 0.85, 0.75])
        assert axes.get_ylabel().endswith("mean of the last fifth")

    def test_clients_are_one_point_and_runs_that_diverged_none(self):
        frames = methods([1.0, 2.0, 3.0], [0.5, 0.9, 0.8])
        clients = pd.concat(
            [frames["curvature"].assign(of="client", client=k, value=k * frames["curvature"]["value"])
             for k in (1, 3)]
        )  # fmt: skip
        frames["runs"]["diverged"] = [False, False, True]
        figure = self.draw({**frames, "curvature": clients}, log=True, panels="partition")
        (axes,) = figure.axes
        assert [line.get_xdata().tolist() for line in axes.lines] == [[2], [4]]
        assert axes.get_title().endswith("2 runs") and axes.get_xscale() == "log"

    def test_what_cannot_be_drawn_is_said_in_a_line(self):
        frames = methods([1.0, 2.0, 3.0], [0.5, 0.9, 0.8])
        with pytest.raises(FedscapeError, match="rows: no run has both a value in curvature and a test_loss"):
            frames["runs"]["test_loss"] = math.nan
            self.draw(frames, column="test_loss")
        with pytest.raises(FedscapeError, match="curvature has no column height"):
            self.draw(frames, measure="height")
        with pytest.raises(FedscapeError, match="column quantity of curvature holds words"):
            self.draw(frames, measure="quantity")
        with pytest.raises(FedscapeError, match="table runs: it is what is drawn against"):
            scatter.draw({"runs": frames["runs"]}, scatter.Settings(rows={}))
        both = pd.concat([frames["curvature"], frames["curvature"].assign(quantity="rays")])
        with pytest.raises(FedscapeError, match="several quantities"):
            given = {"curvature": both, "runs": frames["runs"]}
            scatter.draw(given, scatter.Settings(rows={"radius": 0.1}))


def test_curves_of_curvature_are_named_by_their_quantity():
    rows = [
        {**RUN, **curvature("trace", value * (1 + number), number), "partition": name}
        for name, value in NUMBERS.items()
        for number in (0, 5, 10)
    ]
    rows += [{**row, **curvature("eigenvalue", 9.0, row["round"])} for row in rows]
    given = {"curvature": pd.DataFrame(rows)}
    settings = curves.Settings(measure="value", rows={"quantity": "trace"})
    (axes,) = curves.draw(given, settings).axes
    assert axes.get_ylabel() == "trace of the Hessian"
    assert axes.lines[0].get_ydata().tolist() == [1, 6, 11]
    figure = curves.draw(given, curves.Settings(measure="value"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        f"{name}, {word}" for word in ("trace, 0", "eigenvalue, 1") for name in NUMBERS
    ]
    layers = {"curvature": pd.concat(given.values()).assign(quantity="layer-trace", index=0)}
    with pytest.raises(FedscapeError, match="several rows for one run and round; narrow"):
        curves.draw(layers, curves.Settings(measure="value"))


def test_curves_of_a_sharpness_tell_models_samples_and_radii_apart():
    """The flatness gap over rounds: H_k(w_k), H_k(w) and H(w)."""
    rows = []
    for number in (1, 2):
        rows += of_clients("worst", [1.0, 3.0], number=number, data="own", radius=0.1)
        rows += [{**row, "of": "mean", "value": 5.0} for row in rows[-2:]]
        rows += [curvature("worst", 6.0, number, of="mean", radius=0.1)]
    given = {"curvature": pd.DataFrame([{**RUN, **row} for row in rows])}
    settings = curves.Settings(measure="value", rows={"quantity": "worst"})
    (axes,) = curves.draw(given, settings).axes
    ends = [line.get_ydata().tolist() for line in axes.lines]
    assert sorted(ends) == [[2, 2], [5, 5], [6, 6]]
    assert "rise of the loss" in axes.get_ylabel().replace("\n", " ")
    other = given["curvature"].assign(radius=0.2)
    both = {"curvature": pd.concat([given["curvature"], other])}
    assert len(curves.draw(both, settings).axes[0].lines) >= 6


def densities(partitions=("iid", "dir0.1"), rounds=(0, 5), seeds=(0,), **columns):
    grid = np.linspace(-1, 5, 50)
    return pd.concat(
        pd.DataFrame({"eigenvalue": grid, "density": np.exp(-(grid**2)) + 1e-9}).assign(
            **{**RUN, "partition": partition, "seed": seed, "curvature": "ends", "group": "g", "round": number,
               "of": "global", "client": -1, "data": "global", "products": 9, "samples": 64, **columns}
        )
        for partition in partitions for number in rounds for seed in seeds
    )  # fmt: skip


class TestSpectrum:
    def draw(self, frame=None, labels=(), **settings):
        frame = densities() if frame is None else frame
        return spectrum.draw({"density": frame}, spectrum.Settings(**settings), labels)

    def test_a_panel_per_round_and_a_line_per_run(self):
        figure = self.draw()
        assert [axes.get_title() for axes in figure.axes] == ["round 0", "round 5"]
        curves = [[line for line in axes.lines if len(line.get_xdata()) > 2] for axes in figure.axes]
        assert [len(lines) for lines in curves] == [2, 2]
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["iid", "dir0.1"]
        assert figure.axes[0].get_yscale() == "log"
        low, high = figure.axes[0].get_ylim()
        assert high > densities()["density"].max() > 0.1 and low == pytest.approx(1e-6, rel=0.1)

    def test_what_is_not_finite_is_refused(self):
        with pytest.raises(FedscapeError, match="a density of global on global samples is not finite"):
            self.draw(densities().replace({"density": {densities()["density"].max(): np.inf}}))

    def test_seeds_and_clients_are_lines_of_one_look(self):
        frame = pd.concat([densities(["iid"], [5], seeds=(0, 1)), densities(["dir0.1"], [5])])
        lines = [line for line in self.draw(frame).axes[0].lines if len(line.get_xdata()) > 2]
        assert [to_hex(line.get_color()) for line in lines[:2]] == [to_hex(lines[0].get_color())] * 2
        assert lines[2].get_color() != lines[0].get_color()
        clients = pd.concat([densities(["iid"], [5], of="client", client=k) for k in range(3)])
        assert len(self.draw(clients, of="clients").axes[0].lines) == 3 + 1

    def test_rounds_in_one_panel_are_told_apart(self):
        labels = [
            {"label": "A", "where": {"partition": "iid"}},
            {"label": "B", "where": {"partition": "dir0.1"}},
        ]
        figure = self.draw(labels=labels, panels=None)
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [
            "A, round 0", "A, round 5", "B, round 0", "B, round 5",
        ]  # fmt: skip

    def test_chosen_rounds_and_panels_by_name(self):
        figure = self.draw(rounds=[5], panels="partition")
        assert [axes.get_title() for axes in figure.axes] == ["iid", "dir0.1"]
        with pytest.raises(FedscapeError, match="no density of round 3; there are 0, 5"):
            self.draw(rounds=[3])

    def test_what_was_not_measured_is_an_error(self):
        with pytest.raises(FedscapeError, match="no density of clients on global samples"):
            self.draw(of="clients")
