"""Barriers as coloured cells with their numbers, and the colours that several panels share."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.patches import Rectangle

from fedscape.figures.labels import WHOLE
from fedscape.figures.layers import thinned
from fedscape.figures.medium import medium
from fedscape.figures.surface import HATCHING

DIVERGING = "RdBu_r"  # told apart by colour-blind readers; white is no barrier
# From white over several hues, ever darker in grey: Rappaport, A color map for effective black-and-white
# rendering of color-scale images, 2002.
SEQUENTIAL = "CMRmap_r"
MOST_ROUNDS = 11  # rounds named below a panel
MOST_DECIMALS = 3
NUMBER_SIZES = 4.5, 6.5  # points: smallest that can be read, largest of the numbers in the cells


def barrier_colours(
    grids: Sequence[np.ndarray], highest: float | None, lowest: float | None = None
) -> tuple[Normalize, Colormap, str]:
    """One linear scale for all panels, its colours, and the ends that values exceed (`extend` of matplotlib).

    White is 0. Where values may be negative, colours deepen equally fast on both sides.
    highest: barrier where the colours end. lowest: where they begin; from 0 on they are sequential. Without
    either they are where no value is negative.
    """
    values = np.concatenate([grid.ravel() for grid in grids])
    values = values[np.isfinite(values)]
    low, high = min(0.0, values.min(initial=0)), max(0.0, values.max(initial=0))
    first, last = lowest, highest
    if first is None:
        first = low if highest is None else max(low, -highest)
    if last is None:
        last = high
    if first == last:  # no barrier: a scale needs some width
        last = 1.0
    exceeded = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        (low < first, high > last), "neither"
    )
    if first == 0 and (lowest == 0 or highest is None):
        return Normalize(first, last, clip=True), matplotlib.colormaps[SEQUENTIAL], exceeded
    widest = max(-first, last)
    bluest, reddest = (0.5 + 0.5 * end / widest for end in (first, last))  # of the colours, from 0 to 1
    colours = ListedColormap(matplotlib.colormaps[DIVERGING](np.linspace(bluest, reddest, 256)))
    return Normalize(first, last, clip=True), colours, exceeded


def draw_cells(axes: Axes, grid: pd.DataFrame, norm: Normalize, colours: Colormap) -> None:
    """A coloured cell per value, hatched where it is missing. grid: named rows, from the top down."""
    rows, columns = grid.shape
    values = np.ma.masked_invalid(grid.to_numpy(float))
    if values.mask.any():
        axes.add_patch(Rectangle((-0.5, -0.5), columns, rows, zorder=0, **HATCHING))
    axes.pcolormesh(
        np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5, values, norm=norm, cmap=colours,
        edgecolors="white", linewidth=0.4,
    )  # fmt: skip
    axes.set_ylim(rows - 0.5, -0.5)
    if grid.index[0] == WHOLE:
        axes.axhline(0.5, color="black", linewidth=0.8)
    ticks = thinned(rows)
    axes.set_yticks(np.arange(rows)[ticks], grid.index[ticks], fontsize=7)
    ticks = thinned(columns, MOST_ROUNDS)
    axes.set_xticks(np.arange(columns)[ticks], [f"{number:g}" for number in grid.columns[ticks]])
    axes.tick_params(length=2)
    for side in axes.spines.values():
        side.set_visible(True)


def write_numbers(
    axes: Axes,
    grid: pd.DataFrame,
    unit: float,
    largest: float,
    cell: tuple[float, float],
    norm: Normalize,
    colours: Colormap,
) -> None:
    """The values in their cells, in multiples of `unit`, if they fit.

    largest: value of all panels, whatever its sign. cell: width and height in inches.
    """
    if medium().in_print:  # where smaller letters are no use
        return
    decimals = max(0, int(1 - np.floor(np.log10(largest / unit))))  # enough to tell tenths of it apart
    if decimals > MOST_DECIMALS:  # nothing but zeros could be read
        return
    values = grid.to_numpy(float)
    # Adding 0 takes the sign from a rounded -0.
    texts = {
        index: f"{round(value / unit, decimals) + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}")
        for index, value in np.ndenumerate(values)
        if np.isfinite(value)
    }
    letters = max(map(len, texts.values()), default=1)
    # 72 points per inch; a digit is 0.64 of its size wide; some of the cell stays free.
    size = min(NUMBER_SIZES[1], 0.9 * 72 * cell[0] / (0.64 * letters), 0.7 * 72 * cell[1])
    if size < NUMBER_SIZES[0]:
        return
    for (row, column), text in texts.items():
        red, green, blue, _ = colours(norm(values[row, column]))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5  # by perceived brightness
        axes.text(
            column, row, text, color="white" if dark else "black", fontsize=size, ha="center",
            va="center_baseline",
        )  # fmt: skip
