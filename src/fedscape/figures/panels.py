"""Rows of equal panels, with room for a legend below each or below all."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.gridspec import SubplotSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from fedscape.figures.labels import balanced
from fedscape.figures.medium import medium
from fedscape.figures.style import RC

PER_ROW = 3
POINTS = 72  # an inch
NARROWEST, NARROWEST_SURFACE = 1.6, 1.9  # inches: of a panel in print
TITLE_LETTER, TITLE_LINE = 0.105, 0.19  # inches: of a letter in a title, with its panel's margins; of a line
SHRUNK = 0.6, 1.0  # height of a panel in print, as a share of that on a screen: lowest, highest
ONE_SURFACE, SEVERAL_SURFACES = 4.8, 3.5  # width of a surface's panel in inches
LABELS = 1.05, 0.95  # inches that labels and title take from a panel's width and height
PRINTED_LABELS = 0.72, 0.55  # the same in print, where labels are short
TRUTH_HEIGHT = 1.7  # inches of the small panels
BAR_WIDTH = 0.8  # inches for the colour bar with its words
LEGEND_HANDLE, LEGEND_ROW = 0.75, 0.18  # inches, at the font size of legends
LEGEND_MARGIN = 0.15  # inches that a legend has on its two sides together
SMALLEST_MARKER = 4.0  # points, in a legend in print
LINE_GAP = 0.08  # inches above and below labels and titles of a surface, which are stacked closely
TALLEST, FLATTEST = 1.5, 0.5  # height over width of a panel: thinner boxes get white margins


def panel_grid(
    titles: Sequence[str], size: tuple[float, float], horizontal: str, vertical: str, share: bool = True,
    per_row: int = PER_ROW,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """A figure with a panel per title, in rows of at most `per_row`; all panels have the same axis labels.

    size: width and height of a panel in inches; in print the panels share the style's width.
    share: whether the panels share their limits, too.
    """
    width = medium().style.inches
    columns = min(len(titles), per_row if width is None else max(1, int(width / NARROWEST)))
    if width is not None:
        size = (width / columns, size[1] * float(np.clip(width / columns / size[0], *SHRUNK)))
    rows = -(-len(titles) // columns)
    # A title that is wider than its panel would take room from all of them.
    letters = int(size[0] / TITLE_LETTER / medium().letter)
    titles = [balanced(title, letters) for title in titles]
    height = size[1]
    if width is not None:  # where panels are low already
        height += TITLE_LINE * medium().letter * max(title.count("\n") for title in titles)
    figure = Figure(figsize=(columns * size[0], rows * height), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False).ravel()
    for i, axes in enumerate(panels):
        if i >= len(titles):
            axes.remove()
            continue
        axes.set(title=titles[i], xlabel=horizontal, ylabel=vertical if i % columns == 0 else "")
        # Shared limits hide the numbers of inner panels; below the last panel of a column there may be none.
        axes.tick_params(labelbottom=True)
    return figure, list(panels[: len(titles)])


def legend_below(figure: Figure, handles: Sequence[Artist]) -> int:
    """One legend below all panels; returns its number of rows."""
    columns = legend_columns([str(handle.get_label()) for handle in handles], figure.get_figwidth())
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns)
    return -(-len(handles) // columns)


def legend_columns(names: Sequence[str], width: float) -> int:
    """The most columns in which a legend of these names fits a width in inches, at least one."""
    widths = [medium().letter * LEGEND_HANDLE + text_inches(name, RC["legend.fontsize"]) for name in names]
    for columns in range(len(names), 1, -1):
        # A legend is filled column by column, as evenly as possible.
        parts = np.array_split(widths, columns)
        if sum(part.max() for part in parts) <= width - LEGEND_MARGIN:
            return columns
    return 1


def text_inches(text: str, points: float) -> float:
    """How wide a text is. points: its size on a screen."""
    font = FontProperties(size=points * medium().letter)
    return float(TextPath((0, 0), text, prop=font).get_extents().width) / POINTS if text.strip() else 0.0


def surface_grid(
    surfaces: Sequence[pd.DataFrame], truth: bool
) -> tuple[Figure, list[tuple[SubplotSpec, tuple[SubplotSpec, SubplotSpec] | None]], SubplotSpec]:
    """An empty figure, the cells of each surface's panel and of the two below it, and the colour bar's cell.

    surfaces: rows of one surface each, columns x and y, empty where nothing is drawn; all panels are as tall
    as the tallest. truth: whether each has two small panels below.
    """
    columns = min(len(surfaces), PER_ROW)
    columns = 2 if len(surfaces) == 4 else columns  # two rows of two fill a page better than three and one
    width = ONE_SURFACE if columns == 1 else SEVERAL_SURFACES
    page, bar = medium().style.inches, BAR_WIDTH
    if page is not None:
        columns = min(columns, max(1, int((page - bar) / NARROWEST_SURFACE)))
        width = (page - bar) / columns
    rows = -(-len(surfaces) // columns)
    shapes = [np.ptp(surface["y"]) / np.ptp(surface["x"]) for surface in surfaces if len(surface)]
    shape = float(np.clip(max(shapes, default=1), FLATTEST, TALLEST))
    labels = LABELS if page is None else PRINTED_LABELS
    heights = [(width - labels[0]) * shape + labels[1], *([TRUTH_HEIGHT] if truth else [])]
    figure = Figure(
        figsize=(columns * width + bar, rows * sum(heights)),
        layout=ConstrainedLayoutEngine(h_pad=LINE_GAP),
    )
    # Two columns a panel, one for each of the small panels below it.
    grid = figure.add_gridspec(
        rows * len(heights),
        2 * columns + 1,
        height_ratios=heights * rows,
        width_ratios=[width / 2] * 2 * columns + [0.14],
    )
    cells = []
    for i in range(len(surfaces)):
        row, column = divmod(i, columns)
        row, column = row * len(heights), 2 * column
        below = (grid[row + 1, column], grid[row + 1, column + 1]) if truth else None
        cells.append((grid[row, column : column + 2], below))
    return figure, cells, grid[0, -1] if rows == 1 else grid[:, -1]


def surface_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """The legend below panels that keep their height: the figure grows."""
    for handle in handles:
        if isinstance(handle, Line2D):
            size = handle.get_markersize()
            handle.set_markersize(min(size, max(SMALLEST_MARKER, size * medium().marker)))
    rows = legend_below(figure, handles)
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW * medium().letter * (1 + rows))
