"""Barriers along the layers of a network at one round: one line per regime.

Frames: `layers` (layers.csv). From left to right stand the layers, the shallowest first: the averaged layer
where single layers are averaged; where layers add up, the one added last, so that `deep` is read from right
to left. Other orders (random, middle-out, outside-in) are drawn over the number of averaged layers. A line is
the mean over pairs of models (seeds, clients) and over the end that the other layers come from, in a band
from the smallest to the largest; it is broken where a value is missing. Single layers are points with bars:
there is nothing between one layer and the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fedscape.errors import FedscapeError
from fedscape.fields import LayerOrder, Split
from fedscape.figures.axes import percent_ticks
from fedscape.figures.labels import WHOLE, balanced, barrier_label, value_word
from fedscape.figures.layers import (
    AT_DEPTH,
    drawn_cells,
    floor_note,
    measured_rows,
    step_names,
    thinned,
    with_panels,
    with_steps,
)
from fedscape.figures.looks import listed_looks
from fedscape.figures.panels import PER_ROW, panel_grid, surface_legend
from fedscape.figures.style import Look, series_handle
from fedscape.moment import Moment
from fedscape.tables.layers import SINGLE, later_round, of_rests

HEIGHT, LETTER = 2.7, 0.056  # inches of a panel without the names of its layers; of a letter of these
LAYER, WIDTHS, MARGIN = 0.14, (2.9, 6.2), 0.8  # inches: of a layer; of all, least and most; beside them
LABEL_LETTERS = 34  # of a line of the vertical label
MARKED = 24  # points of a line that get a marker, at most
ENDS = "mean of both models"

CAPTION = (
    "Barriers along the layers, the shallowest on the left: the mean over pairs of models, in a band (of "
    "single layers on a bar) from the smallest to the largest. Means of barriers of the loss "
    "below 0.0001 nats are drawn as 0."
)
SOURCES = ("connectivity",)  # what a study file may draw it from
CONNECTION = "layers"  # the kind that it draws


@dataclass(frozen=True)
class Settings:
    """Which barriers are shown, and when."""

    # each layer alone, or added up in an order; direction: the layer moved at random instead
    regimes: list[LayerOrder]
    # loss: mean cross-entropy; error: share of wrong answers; both: a panel for each
    measure: Literal["loss", "error", "both"] = "loss"
    split: Split = "train"  # train: the data of all clients together
    # ratio: barrier over the mean of both ends; value: the loss or error of the averaged model
    column: Literal["barrier", "ratio", "value"] = "barrier"
    round: Moment = "last"  # its number, a share of the last measured round, or `last`
    # a panel for each; null: all that were measured
    alignment: list[Literal["none", "weights"]] | None = None

    def __post_init__(self):
        if self.round != "last" and (self.round < 0 or (isinstance(self.round, float) and self.round > 1)):
            raise ValueError(f"round must be a round >= 0, a share in [0, 1] or last, got {self.round}")
        if not self.regimes:
            raise ValueError("regimes: name one")
        counted = {"random", "middle-out", "outside-in"}.intersection(self.regimes)
        if counted and {"single", "direction"}.intersection(self.regimes):
            raise ValueError(
                f"regimes: single layers stand at their depth, {min(counted)} cannot stand beside"
            )


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError for what was not measured."""
    measures = ("loss", "error") if settings.measure == "both" else (settings.measure,)
    layers = pd.concat(
        measured_rows(frames["layers"], measure, settings.split, settings.alignment, settings.regimes)
        for measure in measures
    )
    layers, pairs = with_panels(layers.assign(at=later_round(layers)), labels)
    by_depth = set(AT_DEPTH).issuperset(settings.regimes)
    titles, drawn = [], []
    for (pair, title), measure in product(pairs.items(), measures):
        rows = layers[(layers["panel"] == pair) & (layers["measure"] == measure)]
        number = _round(rows["at"], settings.round)
        titles.append(", ".join(filter(None, [title, f"round {number}"])))
        rows = rows[rows["at"] == number]
        steps = {regime: of_rests(with_steps(rows, regime, by_depth)) for regime in settings.regimes}
        drawn.append((measure, rows, steps))

    names = [step_names(pd.concat(steps.values())) if by_depth else {} for *_, steps in drawn]
    count = max(rows["averaged"].max() for _, rows, _ in drawn)
    letters = max((len(name) for panel_names in names for name in panel_names.values()), default=1)
    size = float(np.clip(count * LAYER, *WIDTHS)) + MARGIN, HEIGHT + letters * LETTER
    per_row = 2 if len(measures) == 2 else PER_ROW
    figure, panels = panel_grid(
        titles, size, _along_label(settings.regimes), "", share=False, per_row=per_row
    )
    regimes = {regime: value_word(regime, "regime") for regime in get_args(LayerOrder)}
    styles = listed_looks([regimes[regime] for regime in settings.regimes], list(regimes.values()))
    handles = [
        series_handle(name, look, line=regime not in SINGLE)
        for regime, (name, look) in zip(settings.regimes, styles.items(), strict=True)
    ]
    levels: list[Line2D] = []
    for i, (axes, (_, rows, steps)) in enumerate(zip(panels, drawn, strict=True)):
        floored = False
        for look, (regime, regime_rows) in zip(styles.values(), steps.items(), strict=True):
            floored |= _draw_regime(axes, regime_rows, settings.column, look, joined=regime not in SINGLE)
        levels, level_floored = _draw_levels(axes, rows, settings)
        first = i % per_row == 0 or len(measures) == 2
        _name_axes(axes, names[i], rows["measure"].iloc[0], settings, first)
        axes.set_ylabel(axes.get_ylabel() + floor_note(first and (floored or level_floored)))
    _same_heights(panels, [measure for measure, *_ in drawn])
    if len(handles + levels) > 1:
        surface_legend(figure, handles + levels)
    return figure


def _round(rounds: pd.Series, moment: Moment) -> int:
    """The round at a moment, for a share the nearest one. Raises FedscapeError if it was not measured."""
    measured = np.sort(rounds.unique())
    if isinstance(moment, float):
        return int(measured[np.abs(measured - moment * measured[-1]).argmin()])
    number = measured[-1] if moment == "last" else moment
    if number not in measured:
        raise FedscapeError(f"no rows of round {number}; there are {', '.join(map(str, measured))}")
    return int(number)


def _along_label(regimes: Sequence[str]) -> str:
    """The label of the horizontal axis."""
    if not set(AT_DEPTH).issuperset(regimes):
        return "number of averaged layers"
    words = ["averaged layer"] if set(SINGLE).intersection(regimes) else []
    return " or ".join(words + ([] if set(SINGLE).issuperset(regimes) else ["layer added last"]))


def _draw_regime(axes: Axes, rows: pd.DataFrame, column: str, look: Look, joined: bool) -> bool:
    """One regime: means along the layers, from the smallest value to the largest: a band, or bars.

    Gives whether some are drawn as 0.
    joined: whether layers add up; single ones are no steps of a way, so no line joins them.
    """
    points, floored = drawn_cells(rows, ["step"], column)
    stride = max(1, -(-len(points) // MARKED)) if joined else 1
    axes.plot(
        points["step"], points["mean"], color=look.colour, linestyle=look.line if joined else "none",
        marker=look.marker, markevery=stride, markersize=4, markerfacecolor="white",
    )  # fmt: skip
    ends = points["min"], points["max"]
    if not joined:
        axes.vlines(points["step"], *ends, colors=look.colour, linewidth=1, zorder=1.9)
    elif (ends[0] < ends[1]).any():
        axes.fill_between(points["step"], *ends, color=look.colour, alpha=0.15, linewidth=0)
    return floored


def _draw_levels(axes: Axes, rows: pd.DataFrame, settings: Settings) -> tuple[list[Line2D], bool]:
    """Horizontal lines for comparison: no barrier, or both models; beside single layers the full average.

    Also gives whether that is drawn as 0.
    """
    levels, floored = [], False
    if settings.column == "value":
        mean = rows[["from_value", "to_value"]].to_numpy(float).mean()
        levels.append(axes.axhline(mean, color="0.4", linewidth=1, zorder=1, label=ENDS))
    else:
        axes.axhline(0, color="0.4", linewidth=0.8, zorder=1)
    full = rows[rows["regime"] == "full"]
    if set(SINGLE).issuperset(settings.regimes) and len(full):
        table, floored = drawn_cells(full, ["at"], settings.column)
        mean = float(table["mean"].iloc[0])
        levels.append(axes.axhline(mean, color="black", linewidth=1.2, linestyle=":", label=WHOLE))
    return levels, floored


def _name_axes(axes: Axes, names: Mapping[int, str], measure: str, settings: Settings, first: bool) -> None:
    """Ticks and the vertical label. names: of the steps along the axis; empty where it counts layers."""
    if names:
        ticks = thinned(len(names))
        axes.set_xticks(list(names)[ticks], list(names.values())[ticks], rotation=90, fontsize=7)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if first:
        axes.set_ylabel(balanced(barrier_label(settings.column, measure, settings.split), LABEL_LETTERS))
    if measure == "error" and settings.column != "ratio":
        percent_ticks(axes.yaxis)
    axes.grid(True, axis="y")


def _same_heights(panels: Sequence[Axes], measures: Sequence[str]) -> None:
    """One range of values for all panels of a measure."""
    for measure in set(measures):
        group = [axes for axes, name in zip(panels, measures, strict=True) if name == measure]
        limits = np.array([axes.get_ylim() for axes in group])
        for axes in group:
            axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
