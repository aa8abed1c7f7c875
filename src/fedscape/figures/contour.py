"""Models on a loss surface: trajectories, or final models, on a plane through parameter space.

Frames: `surface` (surface.csv) and `markers` (markers.csv). One panel per group of runs, all on one colour
scale. A plane shows each model at its projection, where the loss may differ from the model's own. So each
marker is filled with its TRUE loss on the scale of the surface: one that stands out from its ground is where
the picture is not the truth, and the small panels below say by how much (`figures/truth.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from fedscape.errors import FedscapeError
from fedscape.figures.labels import panel_titles, run_labels
from fedscape.figures.plane import SURFACE_COLOURS, draw_markers, draw_surface, legend_handles, loss_scale
from fedscape.figures.style import looks, plain_log_ticks
from fedscape.figures.truth import compare_rounds, compare_runs

PANELS_PER_ROW = 3
ONE_PANEL, SEVERAL_PANELS = 4.8, 3.5  # width of a panel in inches
LABEL_WIDTH, LABEL_HEIGHT = 0.75, 0.75  # inches that a panel's labels take from its width and height
TRUTH_HEIGHT = 1.7  # inches of the small panels
TALLEST, FLATTEST = 1.5, 0.5  # height over width of a panel: thinner boxes get white margins

SOURCES = ("plane",)  # what a study file may draw it from


@dataclass(frozen=True)
class Settings:
    """What a contour figure shows beside surface and models."""

    directions: str = "principal direction"  # what spans the plane, in the words of the axis labels
    highest_loss: float | None = None  # above it one colour; none: 10 times the worst model, at least 10
    marked_rounds: int = 10  # rounds that get a marker along a trajectory, at most; its line has all
    truth: bool = True  # small panels that compare true loss and loss at the projection

    def __post_init__(self):
        if self.highest_loss is not None and not self.highest_loss > 0:
            raise ValueError(f"highest_loss must be > 0, got {self.highest_loss}")
        if self.marked_rounds < 2:
            raise ValueError(f"marked_rounds must be at least 2 (start and end), got {self.marked_rounds}")


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings) -> Figure:
    """The figure. Raises FedscapeError where a group has markers and no surface, or no loss is finite."""
    surface, markers = frames["surface"], frames["markers"]
    titles = panel_titles(markers, "group")
    surfaces = {group: surface[surface["group"] == group] for group in titles}
    for group, rows in surfaces.items():
        if rows.empty:
            raise FedscapeError(f"group {group} has markers, but no rows in surface")
    markers = markers.assign(run=run_labels(markers, within=["group"]))
    styles = looks(markers["run"])
    drawn = pd.concat(surfaces.values())
    norm = loss_scale(drawn, markers, settings.highest_loss)

    figure, cells, bar = _layout(list(surfaces.values()), settings.truth)
    for (cell, below), (group, title) in zip(cells, titles.items(), strict=True):
        here = markers[markers["group"] == group]
        axes = figure.add_subplot(cell, title=title)
        draw_surface(axes, surfaces[group], norm, settings.directions)
        draw_markers(axes, here, styles, norm, settings.marked_rounds)
        if settings.truth:
            compare = compare_rounds if here["run"].duplicated().any() else compare_runs
            compare(*(figure.add_subplot(below[side]) for side in (0, 1)), here, styles)
    bar_axes = figure.add_subplot(bar)
    above = np.isfinite(drawn["loss"]) & (drawn["loss"] > norm.vmax)
    figure.colorbar(
        ScalarMappable(norm, SURFACE_COLOURS),
        cax=bar_axes,
        label=f"loss ({drawn['samples'].max():,} training samples)",
        extend="max" if above.any() else "neither",
    )
    plain_log_ticks(bar_axes.yaxis, most=12)
    handles = legend_handles(markers, drawn, styles)
    # About one column of the legend per 1.3 inches: longer lines would not fit.
    figure.legend(handles=handles, loc="outside lower center", ncols=max(2, int(figure.get_figwidth() / 1.3)))
    return figure


def _layout(surfaces: list[pd.DataFrame], truth: bool) -> tuple:
    """An empty figure; the cell of each panel's surface and the two below it; the cell of the colour bar."""
    columns = min(len(surfaces), PANELS_PER_ROW)
    rows = -(-len(surfaces) // columns)
    width = ONE_PANEL if columns == 1 else SEVERAL_PANELS
    shapes = [np.ptp(one["y"]) / np.ptp(one["x"]) for one in surfaces]
    shape = float(np.clip(max(shapes), FLATTEST, TALLEST))
    heights = [(width - LABEL_WIDTH) * shape + LABEL_HEIGHT, *([TRUTH_HEIGHT] if truth else [])]
    spare_width, spare_height = 0.8, 0.8  # inches for the colour bar; for title and legend
    figure = Figure(
        figsize=(columns * width + spare_width, rows * sum(heights) + spare_height), layout="constrained"
    )
    grid = figure.add_gridspec(
        rows * len(heights),
        columns + 1,
        height_ratios=heights * rows,
        width_ratios=[width] * columns + [0.14],
    )
    cells = []
    for i in range(len(surfaces)):
        row, column = divmod(i, columns)
        below = grid[row * 2 + 1, column].subgridspec(1, 2) if truth else None
        cells.append((grid[row * len(heights), column], below))
    return figure, cells, grid[0, -1] if rows == 1 else grid[:, -1]
