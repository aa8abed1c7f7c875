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
from fedscape.figures.style import scale_ends
from fedscape.figures.surface import HATCHING

COLOURS = "RdBu_r"  # diverging, told apart by colour-blind readers; white is no barrier
MOST_ROUNDS = 11  # that are named
MOST_DECIMALS = 3
NUMBER_SIZES = 4.5, 6.5  # points: smallest that can be read, largest of the numbers in the cells


def barrier_colours(grids: Sequence[np.ndarray], highest: float | None) -> tuple[Normalize, Colormap, str]:
    """One linear scale for all panels, white at 0, as steep below as above; its ends that values exceed."""
    values = np.concatenate([grid.ravel() for grid in grids])
    values = values[np.isfinite(values)]
    low, high = min(0.0, values.min(initial=0)), max(0.0, values.max(initial=0))
    beyond = "neither"
    if highest is not None:
        under, over = low < -highest, high > highest
        beyond = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((under, over), beyond)
        low, high = max(low, -highest), highest
    if low == high:  # no barrier at all: a scale needs some width
        high = 1.0
    widest = max(-low, high)
    part = 0.5 + 0.5 * np.array([low, high]) / widest
    colours = ListedColormap(matplotlib.colormaps[COLOURS](np.linspace(part[0], part[1], 256)))
    return Normalize(low, high, clip=True), colours, beyond


def draw_cells(axes: Axes, grid: pd.DataFrame, norm: Normalize, colours: Colormap) -> None:
    """A coloured cell per value, hatched where there is none. grid: rows from the top down, by name."""
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
    named = thinned(rows)
    axes.set_yticks(np.arange(rows)[named], grid.index[named], fontsize=7)
    named = thinned(columns, MOST_ROUNDS)
    axes.set_xticks(np.arange(columns)[named], [f"{round_:g}" for round_ in grid.columns[named]])
    axes.tick_params(length=2)
    for side in axes.spines.values():
        side.set_visible(True)


def write_numbers(
    axes: Axes, grid: pd.DataFrame, unit: float, cell: tuple[float, float], norm: Normalize, colours: Colormap
) -> None:
    """The values in their cells, in multiples of `unit`, if they fit. cell: width and height in inches."""
    low, high = scale_ends(norm)
    widest = max(-low, high) / unit
    decimals = max(0, int(1 - np.floor(np.log10(widest))))  # tell the tenths of the scale apart
    if decimals > MOST_DECIMALS:  # nothing but zeros could be read
        return
    values = grid.to_numpy(float)
    # Adding 0 takes the sign from a rounded -0.
    texts = {
        place: f"{round(value / unit, decimals) + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}")
        for place, value in np.ndenumerate(values)
        if np.isfinite(value)
    }
    letters = max(map(len, texts.values()), default=1)
    # 72 points per inch; a digit is 0.64 of its size wide; some of the cell stays free.
    size = min(NUMBER_SIZES[1], 0.9 * 72 * cell[0] / (0.64 * letters), 0.7 * 72 * cell[1])
    if size < NUMBER_SIZES[0]:
        return
    for (row, column), text in texts.items():
        red, green, blue, _ = colours(norm(values[row, column]))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5  # as bright as it looks
        axes.text(
            column, row, text, color="white" if dark else "black", fontsize=size, ha="center",
            va="center_baseline",
        )  # fmt: skip
