"""Results of runs: a column of a table along another one, or along a setting that a grid tries out.

Frames: first `runs` (tables/runs.csv), or another table of which `rows` leaves one row per run, such as a
round of curvature.csv; then, for the last fifth of runs, `rounds`. Runs that differ only in their seed are
one point, their mean, with its 95 % interval. Names stand side by side; numbers, such as local epochs, are
joined by a line. Where a seed diverged there is no mean, since that of the others would flatter, but a cross
on the axis.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedscape.fields import Choose, ResultRounds, RunKey
from fedscape.figures.axes import fit_labels, percent_ticks
from fedscape.figures.labels import axis_label
from fedscape.figures.looks import nth_look, value_looks
from fedscape.figures.panels import legend_below, panel_grid
from fedscape.figures.results import Values, along, best_points, by_keys, names_of, of_rounds, rows_of
from fedscape.figures.style import Look, plain_log_ticks, series_handle
from fedscape.tables.cases import DIVERGED
from fedscape.tables.estimate import estimate

WIDTHS, HEIGHT, NAME, LETTER = (3.4, 9.0), 3.2, 0.42, 0.06  # inches: of a panel, of a name, of its letters
GROUP = 0.6  # share of the distance between two names that all series at a name take
LONGEST_UPRIGHT = 24  # letters of all names in a panel; longer ones are rotated

CAPTION = (
    "One point per run, the mean over seeds with its 95 % interval where there are several; a cross on "
    "the axis is a run that diverged."
)
SOURCES = ("table",)  # what a study file may draw it from
COLUMNS = ("column", "rows")
VARIED = ("along",)
BESIDE = ("rounds",)


@dataclass(frozen=True)
class Settings:
    """Which result, along what, and how it is laid out."""

    # a name of runs, such as partition or method, or a setting in a grid, such as local_epochs
    along: str
    column: str = "test_accuracy"  # of the table; of runs.csv, of the global model
    rounds: ResultRounds = "last"  # of runs.csv which of them; of the last fifth the mean
    # which rows of the table are drawn: column -> value or list of values; null: all
    rows: dict | None = None
    lines: RunKey | None = None  # a series for each value
    panels: RunKey | None = None  # a panel per value of this column
    same_scale: bool = True  # one vertical range for all panels
    log: bool = False  # logarithmic vertical axis
    log_along: bool = False  # logarithmic horizontal axis, for numbers
    # Student's t, or percentiles over resampled seeds (too narrow for few)
    interval: Literal["student", "bootstrap"] = "student"
    # of a method with a grid, only the point with the best mean of this over seeds; null: all points
    choose: Choose = None


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError for missing columns or settings, and for runs that look alike."""
    runs = rows_of(frames, settings.column, settings.rows, settings.choose, settings.rounds)
    positions, numeric = along(runs, settings.along)
    runs = best_points(runs.assign(along=positions), settings.choose, ["along"] if numeric else [])
    names = names_of(runs, labels)
    runs = runs.assign(
        panel=names[settings.panels] if settings.panels else "",
        line=names[settings.lines] if settings.lines else "",
        along=names.get(settings.along, runs["along"]),
    )
    values = by_keys(runs, settings.column, ["panel", "line", "along"])
    titles = list(dict.fromkeys(runs["panel"]))
    styles = value_looks(runs, settings.lines, labels) if settings.lines else {"": nth_look(0)}
    stops = {title: list(dict.fromkeys(runs.loc[runs["panel"] == title, "along"])) for title in titles}
    size = _size([] if numeric else stops.values(), len(styles))
    horizontal, vertical = axis_label(settings.along), _vertical_label(runs, settings)
    figure, panels = panel_grid(titles if len(titles) > 1 else [""], size, horizontal, vertical, False)
    for axes, title in zip(panels, titles, strict=True):
        panel_values = {
            (line, stop): by_seed for (panel, line, stop), by_seed in values.items() if panel == title
        }
        if numeric:
            _draw_numbers(axes, panel_values, styles, settings)
        else:
            _draw_names(axes, panel_values, styles, stops[title], settings)
        axes.grid(True, axis="y")
        if settings.log:
            axes.set_yscale("log")
            plain_log_ticks(axes.yaxis, most=9)
        if settings.column.endswith("accuracy"):
            percent_ticks(axes.yaxis)
    if settings.same_scale:
        limits = np.array([axes.get_ylim() for axes in panels])
        for axes in panels:
            axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
    handles = [series_handle(name, look, line=numeric) for name, look in styles.items() if len(styles) > 1]
    if any(DIVERGED in by_seed.values() for by_seed in values.values()):
        handles.append(Line2D([], [], color="black", linestyle="none", marker="x", label="diverged"))
    if handles:
        legend_below(figure, handles)
    fit_labels(figure)
    return figure


def _vertical_label(runs: pd.DataFrame, settings: Settings) -> str:
    """The label of the vertical axis; for curvature.csv, which holds several quantities, the one drawn."""
    one_quantity = settings.column == "value" and "quantity" in runs and runs["quantity"].nunique() == 1
    words = axis_label(runs["quantity"].iloc[0] if one_quantity else settings.column)
    return of_rounds(words, settings.rounds)


def _size(names: Collection[Sequence[str]], series: int) -> tuple[float, float]:
    """Width and height of a panel with these names below it."""
    most = max(map(len, names), default=0)
    longest = LETTER * max((len(name) for panel_names in names for name in panel_names), default=0)
    width = float(np.clip(most * NAME * (1 + series / 4), *WIDTHS))
    return width, HEIGHT + (longest if any(map(_are_rotated, names)) else 0)


def _are_rotated(names: Sequence[str]) -> bool:
    return sum(map(len, names)) > LONGEST_UPRIGHT


def _draw_names(
    axes: Axes,
    values: Mapping[tuple, Values],
    styles: Mapping[str, Look],
    names: Sequence[str],
    settings: Settings,
) -> None:
    """Series side by side at each name."""
    step = GROUP / len(styles)
    for number, (line, look) in enumerate(styles.items()):
        shift = (number - (len(styles) - 1) / 2) * step
        points = [
            (names.index(name) + shift, by_seed)
            for (series, name), by_seed in values.items()
            if series == line
        ]
        _draw_points(axes, points, look, settings.interval)
    axes.set_xlim(-0.6, len(names) - 0.4)
    rotation = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if _are_rotated(names) else {}
    axes.set_xticks(range(len(names)), names, **rotation)


def _draw_numbers(
    axes: Axes, values: Mapping[tuple, Values], styles: Mapping[str, Look], settings: Settings
) -> None:
    """A line per series over numbers."""
    for line, look in styles.items():
        points = sorted((x, by_seed) for (series, x), by_seed in values.items() if series == line)
        _draw_points(axes, points, look, settings.interval, joined=True)
    if settings.log_along:
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, most=6)
    else:
        axes.set_xticks(sorted({x for _, x in values}))


def _draw_points(
    axes: Axes, points: Sequence[tuple[float, Values]], look: Look, interval: str, joined: bool = False
) -> None:
    """Means with their intervals; a cross on the axis where a seed diverged."""
    crosses = [x for x, values in points if DIVERGED in values.values()]
    estimates = [
        (x, estimate(values, interval)) for x, values in points if values and DIVERGED not in values.values()
    ]
    means = np.array([result.mean for _, result in estimates])
    intervals = np.array(
        [
            [result.mean, result.mean] if result.low is None else [result.low, result.high]
            for _, result in estimates
        ]
    )
    errors = np.abs(intervals.reshape(-1, 2) - means[:, None]).T
    axes.errorbar(
        [x for x, _ in estimates], means, yerr=errors, color=look.colour, marker=look.marker, capsize=2,
        linestyle=look.line if joined else "none", markerfacecolor="white", elinewidth=1,
    )  # fmt: skip
    axes.plot(
        crosses, [0.02] * len(crosses), color=look.colour, linestyle="none", marker="x", markeredgewidth=2,
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip
