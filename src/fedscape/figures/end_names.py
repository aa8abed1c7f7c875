"""Names of lines at their ends, where a legend of many would have to be searched."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression

from fedscape.figures.style import Look

SIZE = 8  # points of a name
LINE = 1.25  # between the middles of two names, as a share of their size
WIDEST = 0.4  # of the names, as a share of the figure's width
START = 1.045  # where names begin, in widths of the panel

Ends = Mapping[str, tuple[float, float]]  # position and value of each line's last point


def name_ends(axes: Axes, ends: Ends, styles: Mapping[str, Look]) -> None:
    """The names of lines right of a panel, each joined to its end. Call it when all else is drawn.

    The figure grows where the panel is too low for its names.
    """
    names, figure = list(ends), axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes without a figure")
    figure.draw_without_rendering()  # the panel has its height, and its limits follow the lines
    inches = LINE * SIZE / 72
    height = axes.bbox.height / figure.dpi
    missing = max(0.0, inches * len(names) - height)
    figure.set_figheight(figure.get_figheight() + missing)
    gap = inches / (height + missing)
    to_panel = axes.transData + axes.transAxes.inverted()
    heights = [to_panel.transform(ends[name])[1] for name in names]
    for name, height in zip(names, spread(heights, gap), strict=True):
        axes.annotate(
            name, xy=ends[name], xytext=(START, height), textcoords="axes fraction", fontsize=SIZE,
            va="center", annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": styles[name].colour, "linewidth": 0.7, "relpos": (0, 0.5),
                "shrinkA": 1, "shrinkB": 3,
            },
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> np.ndarray:
    """Heights in the same order that are at least `gap` apart, and as near to those given as that allows.

    Least squares with a minimal distance is isotonic regression of the heights less what their ranks take.
    All stay between 0 and 1 where there is room.
    """
    order = np.argsort(heights, kind="stable")
    taken = gap * np.arange(len(order))
    positions = np.empty(len(order))
    if len(order):
        nearest = isotonic_regression(np.asarray(heights, float)[order] - taken).x
        positions[order] = np.clip(nearest, 0, max(0.0, 1 - gap * (len(order) - 1))) + taken
    return positions
