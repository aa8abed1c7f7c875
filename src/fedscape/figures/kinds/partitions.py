"""How many samples of each class each client has: one panel per partition, all on one scale.

Frames: `partitions`, the class counts of partitions (partitions/.../seed*.csv), in the order of the panels.
The darker a cell, the more samples, on a square-root scale, so that few do not look like none. The bars above
are the samples of all classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedscape.figures.labels import value_names
from fedscape.figures.medium import medium
from fedscape.figures.panels import panel_grid

COUNT_COLOURS = "Blues"  # from white, which is no sample; monotone in grey
PANEL = (2.9, 2.9)  # inches
NUMBER_SIZES = (4, 6)  # points: smallest that can be read, largest of the numbers in the cells
MOST_VECTOR_CELLS = 2000  # larger panels are images in the SVG: a rectangle per cell would make a huge file
MOST_NAMED = 20  # classes that are named on the axis

CAPTION = "How many samples of each class each client has; bars above: samples of all classes."
SOURCES = ("partitions",)  # what a study file may draw it from


@dataclass(frozen=True)
class Settings:
    """What stands in the cells."""

    numbers: bool = True  # the counts themselves, where a panel has room for them


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure."""
    counts = frames["partitions"]
    counts = counts.assign(panel=_titles(counts, labels))
    panels = {str(name): _table(rows) for name, rows in counts.groupby("panel", sort=False)}
    norm = PowerNorm(0.5, 0, max(table.to_numpy().max() for table in panels.values()))
    totals = max(table.sum().max() for table in panels.values())

    figure, every_axes = panel_grid(list(panels), PANEL, "client", "class", share=False)
    classes: list[str] = []
    for axes, table in zip(every_axes, panels.values(), strict=True):
        cell = axes.get_subplotspec()
        first = cell is None or cell.is_first_col()
        _draw_cells(axes, table, norm, settings.numbers)
        if not first and list(table.index) == classes:
            axes.tick_params(labelleft=False)
        classes = list(table.index)
        # A low strip of bars on top of the panel, which carries the title.
        strip = axes.inset_axes((0, 1.03, 1, 0.14), sharex=axes)
        _draw_totals(strip, table.sum(), totals)
        strip.set_title(axes.get_title())
        axes.set_title("")
        if first:
            strip.set_ylabel("all", fontsize=7)
        else:
            strip.tick_params(labelleft=False)
    figure.colorbar(
        ScalarMappable(norm, COUNT_COLOURS),
        ax=every_axes,
        label="samples",
        ticks=MaxNLocator(8, integer=True),
        fraction=0.03,
        aspect=40,
        pad=0.01,
    )
    return figure


def _titles(counts: pd.DataFrame, labels: Sequence[Mapping]) -> pd.Series:
    """The panel of each row: the study's name of its partition, and what else tells it from the others."""
    names, partitions = value_names(counts, "partition", labels), counts["partition"].astype(str)
    clients = counts.groupby(["dataset", "partition"])["client"].transform("nunique").astype(str)
    shared = partitions.groupby(names).transform("nunique") > 1
    names = names.mask(shared, names.str.cat(clients + " clients", sep=", "))
    # One label for partitions with as many clients: only their own names differ.
    names = names.mask(partitions.groupby(names).transform("nunique") > 1, partitions)
    for column, word in (("dataset", ""), ("seed", "seed ")):
        if counts[column].nunique() > 1:
            names = names.str.cat(word + counts[column].astype(str), sep=", ")
    return names


def _table(counts: pd.DataFrame) -> pd.DataFrame:
    """Samples by class (named rows) and client (columns)."""
    table = counts.pivot(index="class", columns="client", values="samples")
    names = counts.drop_duplicates("class").set_index("class")["class_name"]
    return table.rename(index=names.astype(str).to_dict())


def _draw_cells(axes: Axes, table: pd.DataFrame, norm: Normalize, numbers: bool) -> None:
    classes, clients = table.shape
    edges = {"edgecolors": "white", "linewidth": 0.5} if clients <= MOST_NAMED else {}
    axes.pcolormesh(
        np.arange(clients + 1) - 0.5, np.arange(classes + 1) - 0.5, table.to_numpy(), norm=norm,
        cmap=COUNT_COLOURS, rasterized=table.size > MOST_VECTOR_CELLS, **edges,
    )  # fmt: skip
    axes.set_ylim(classes - 0.5, -0.5)  # the first class on top, as in a table
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    if classes <= MOST_NAMED:
        axes.set_yticks(range(classes), table.index, fontsize=7)
    for side in axes.spines.values():
        side.set_visible(True)
    size = _number_size(table)
    if numbers and not medium().in_print and size >= NUMBER_SIZES[0]:
        for (row, column), count in np.ndenumerate(table.to_numpy()):
            if count:
                tone = "white" if norm(count) > 0.6 else "black"
                axes.text(column, row, str(count), color=tone, fontsize=size, ha="center", va="center")


def _number_size(table: pd.DataFrame) -> float:
    """The font size, in points, at which numbers fit their cells."""
    classes, clients = table.shape
    # 72 points per inch; labels take a quarter of a panel; a digit is 0.64 of its size wide; leave margins.
    width, height = (72 * 0.75 * size / cells for size, cells in zip(PANEL, (clients, classes), strict=True))
    digits = len(str(table.to_numpy().max()))
    return min(NUMBER_SIZES[1], 0.8 * width / (0.64 * digits), 0.6 * height)


def _draw_totals(strip: Axes, totals: pd.Series, highest: int) -> None:
    strip.bar(range(len(totals)), totals, width=0.9, color="0.5")
    strip.set(ylim=(0, 1.05 * highest), yticks=[0, highest])
    strip.tick_params(labelbottom=False, bottom=False, labelsize=6)
