"""Measures of curvature.csv, and its rows and densities in figures."""

import math

import numpy as np
import pandas as pd
import pytest
from claim_frames import curvature, measured
from figure_frames import RUN
from matplotlib.colors import to_hex

from fedscape.errors import FedscapeError
from fedscape.figures.kinds import curves, spectrum

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


# Figures


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
