"""Barriers of layers over training: one row per layer, the shallowest on top, one column per round.

Frames: `layers` (layers.csv). Where single layers are averaged, a row is that layer, and the top row the
average of all layers. Where layers add up, a row is the layer added last, so that `deep` is read from the
bottom up. Other orders (random, middle-out, outside-in) have their first layer on top. Each cell is a mean
over seeds and clients where all have a value, else hatched. The darker, the higher a barrier; where some
are negative, barriers are red, and blue means that the merged model is better than its ends. With `lowest`
and `highest`, the same colour is the same barrier in several figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from textwrap import fill
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fedscape.columns.connectivity import RESTS
from fedscape.fields import LayerOrder, LossOrError, Split
from fedscape.figures.axes import fit_labels, percent_ticks, thin_ticks
from fedscape.figures.barrier_cells import barrier_colours, draw_cells, write_numbers
from fedscape.figures.labels import WHOLE, barrier_label, value_word
from fedscape.figures.layers import (
    AT_DEPTH,
    drawn_cells,
    floor_note,
    measured_rows,
    step_names,
    with_panels,
    with_steps,
)
from fedscape.figures.medium import medium
from fedscape.figures.panels import PER_ROW, panel_grid, surface_legend
from fedscape.figures.surface import HATCHING
from fedscape.tables.layers import SINGLE, later_round, of_rests

CELL = 0.36, 0.165  # inches
WIDTHS, HEIGHTS = (0.8, 4.0), (1.2, 5.4)  # inches of a panel's cells together: smallest, largest
LETTER, LETTER_OF_LABEL, LINE = 0.062, 0.08, 0.16  # inches: of a layer's name, of a label; a title's line
MARGINS = 0.35, 0.55  # inches beside and below the cells, without names
BAR = 1.0, 0.15  # inches: of the colour bar with its words, and without
NARROWEST_TITLE = 26  # letters
NARROW = 4.7  # inches of a figure in print that has its colour bar below
NAME = 0.115  # inches of a layer's name, with its distance from the next

CAPTION = (
    "One row per layer, the shallowest on top, one column per round; hatched cells were not measured or "
    "lack a value for some seed or client. Means of barriers of the loss below 0.0001 nats are drawn as 0."
)
SOURCES = ("connectivity",)  # what a study file may draw it from
CONNECTION = "layers"  # the kind that it draws


@dataclass(frozen=True)
class Settings:
    """Which barriers are shown, a panel for each regime and rest."""

    # each layer alone, or added up in an order; direction: the layer moved at random instead
    regimes: list[LayerOrder]
    measure: LossOrError = "loss"  # loss: mean cross-entropy; error: share of wrong answers
    split: Split = "train"  # train: the data of all clients together
    column: Literal["barrier", "ratio"] = "barrier"  # ratio: barrier over the mean of both ends
    rest: Literal["from", "to", "both", "mean"] = "mean"  # where the other layers come from; both: two panels
    # a panel for each; null: all that were measured
    alignment: list[Literal["none", "weights"]] | None = None
    highest: float | None = None  # barrier where the colours end, so that figures compare; null: the highest
    # where they begin; 0: sequential colours, as for barriers that are not negative; null: the lowest, at
    # least minus `highest`
    lowest: float | None = None
    numbers: bool = True  # the barriers themselves in the cells, where there is room

    def __post_init__(self):
        if not self.regimes:
            raise ValueError("regimes: name one")
        if self.highest is not None and self.highest <= 0:
            raise ValueError(f"highest must be > 0, got {self.highest}")
        if self.lowest is not None and self.lowest > 0:
            raise ValueError(f"lowest must be <= 0, got {self.lowest}")


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError for what was not measured."""
    layers = measured_rows(
        frames["layers"], settings.measure, settings.split, settings.alignment, settings.regimes
    )
    layers, pairs = with_panels(layers.assign(at=later_round(layers)), labels)
    ends = [RESTS] if settings.rest == "mean" else [(end,) for end in RESTS if settings.rest in (end, "both")]
    grids, titles, row_labels, floored = [], [], [], False
    for (pair, title), regime, rests in product(pairs.items(), settings.regimes, ends):
        rows = layers[layers["panel"] == pair]
        if not (rows["regime"] == regime).any():  # all of its pairs diverged
            continue
        grid, below = _grid(rows, regime, rests, settings.column)
        grids.append(grid)
        floored |= below
        words = [
            value_word(regime, "regime"),
            *(value_word(rest, "rest") for rest in rests if len(rests) == 1),
        ]
        titles.append((title, ", ".join(words)))
        row_labels.append("averaged layer" if regime in SINGLE else "layer added last")

    cell, size = _sizes(grids)
    letters = max(NARROWEST_TITLE, int(size[0] / LETTER))
    titles = ["\n".join(fill(line, letters) for line in title if line) for title in titles]
    per_pair = len(settings.regimes) * len(ends)
    per_row = 2 if per_pair == 4 else min(per_pair, PER_ROW) if per_pair > 1 else PER_ROW
    rounds_differ = (layers["round"] != layers["to_round"]).any()
    figure, panels = panel_grid(
        titles,
        (size[0] + BAR[0] / min(len(titles), per_row), size[1]),
        "later round of both models" if rounds_differ else "round",
        "",
        share=False,
        per_row=per_row,
    )
    values = [grid.to_numpy(float) for grid in grids]
    norm, colours, exceeded = barrier_colours(values, settings.highest, settings.lowest)
    largest = max(np.abs(grid[np.isfinite(grid)]).max(initial=0) for grid in values)
    percent = settings.measure == "error" and settings.column == "barrier"
    for i, (axes, grid) in enumerate(zip(panels, grids, strict=True)):
        draw_cells(axes, grid, norm, colours)
        if i % per_row and list(grid.index) == list(grids[i - 1].index):
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel(row_labels[i])
        if settings.numbers and largest:
            write_numbers(axes, grid, 0.01 if percent else 1, largest, cell, norm, colours)
    # In a column of a journal, beside it, it would leave panels narrower than their titles.
    below = medium().in_print and figure.get_figwidth() < NARROW
    figure.set_figheight(figure.get_figheight() + BAR[0] * below)
    length = figure.get_figwidth() if below else figure.get_figheight()
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=panels, extend=exceeded, fraction=0.05, pad=0.04 if below else 0.01,
        aspect=length / BAR[1], location="bottom" if below else "right",
    )  # fmt: skip
    if percent:
        percent_ticks(bar.ax.xaxis if below else bar.ax.yaxis)
    label = barrier_label(settings.column, settings.measure, settings.split)
    bar.set_label(fill(label, int((length if below else size[1]) / LETTER_OF_LABEL)) + floor_note(floored))
    if any(not np.isfinite(grid).all(axis=None) for grid in grids):
        surface_legend(figure, [Patch(**HATCHING, label="no value")])
    fit_labels(figure)
    for axes in panels:
        thin_ticks(axes)
    # Where panels are low, their layers' names would touch.
    lowest = min(axes.bbox.height for axes in panels) / figure.dpi
    missing = NAME * max(len(axes.get_yticks()) for axes in panels) - lowest
    figure.set_figheight(figure.get_figheight() + max(0.0, missing) * -(-len(panels) // per_row))
    return figure


def _grid(layers: pd.DataFrame, regime: str, rests: Sequence[str], column: str) -> tuple[pd.DataFrame, bool]:
    """Barriers by layer (named rows, from the top down) and round (columns); whether some are drawn as 0."""
    rows = of_rests(with_steps(layers, regime, regime in AT_DEPTH), rests)
    table, floored = drawn_cells(rows, ["step", "at"], column)
    grid = table.pivot(index="step", columns="at", values="mean").rename(index=step_names(rows))
    full, full_floored = drawn_cells(layers[layers["regime"] == "full"], ["at"], column)
    if regime in SINGLE and len(full):
        floored |= full_floored
        average = full.set_index("at")["mean"].reindex(grid.columns)
        grid = pd.concat([average.to_frame(WHOLE).T, grid])
    return grid, floored


def _sizes(grids: Sequence[pd.DataFrame]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Width and height in inches of a cell of the largest grid, and of a panel."""
    shape = np.array([grid.shape[::-1] for grid in grids]).max(axis=0)
    inner = [
        float(np.clip(count * inches, *limits))
        for count, inches, limits in zip(shape, CELL, (WIDTHS, HEIGHTS), strict=True)
    ]
    names = LETTER * max(len(str(name)) for grid in grids for name in grid.index)
    margins = MARGINS[0] + names, MARGINS[1] + 2 * LINE
    return tuple(inner / shape), (inner[0] + margins[0], inner[1] + margins[1])
