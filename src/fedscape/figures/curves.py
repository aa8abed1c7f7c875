"""A measure over the rounds, one line per run.

Frames: one, under any name, with a row per run and round: rounds.csv, hessian.csv, drift.csv. Runs that
differ only in their seed are one line, their mean, in a band from the smallest to the largest. The mean is
drawn where all seeds have a value: once one has diverged, the mean of the others would flatter. A cross marks
where that is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fedscape.errors import FedscapeError
from fedscape.figures.labels import axis_label, panel_titles, run_labels
from fedscape.figures.panels import legend_below, panel_grid
from fedscape.figures.style import Look, looks, plain_log_ticks, series_handle
from fedscape.tables.columns import NAMES

MARKED = 8  # rounds of a line that get a marker, at most

SOURCES = ("table",)  # what a study file may draw it from


@dataclass(frozen=True)
class Settings:
    """Which measure, and how it is laid out."""

    measure: str  # column of the table, for example test_accuracy
    panels: Literal["dataset", "model", "partition", "init", "method"] | None = (
        None  # a panel per value of this column
    )
    log: bool = False  # logarithmic vertical axis


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError for a column that is not there or has no values."""
    ((name, frame),) = frames.items()
    measure = settings.measure
    if measure not in frame or "round" not in frame:
        missing = measure if "round" in frame else "round"
        raise FedscapeError(f"measure {measure}: {name} has no column {missing}; it has {', '.join(frame)}")
    if not np.isfinite(frame[measure].astype(float)).any():
        raise FedscapeError(f"measure {measure}: the column has no finite value in the rows drawn")
    within = [settings.panels] if settings.panels else []
    frame = frame.assign(run=run_labels(frame, [*NAMES, "index"], within, labels))
    if frame.duplicated([*within, "run", "seed", "round"]).any():
        raise FedscapeError(
            f"measure {measure}: {name} has several rows for one run and round; narrow `where`"
        )
    styles = looks(frame["run"])
    titles = panel_titles(frame, settings.panels, labels) if settings.panels else {None: ""}
    figure, panels = panel_grid(
        list(titles.values()), (4.6 if len(titles) == 1 else 3.6, 3.2), "round", axis_label(measure)
    )
    for axes, panel in zip(panels, titles, strict=True):
        here = frame if panel is None else frame[frame[settings.panels] == panel]
        for place, (run, rows) in enumerate(here.groupby("run", sort=False)):
            _draw_run(axes, rows, measure, styles[run], place)
        axes.grid(True, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if settings.log:
        panels[0].set_yscale("log")
        plain_log_ticks(panels[0].yaxis, most=9)
    elif measure.endswith("accuracy"):
        panels[0].yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    handles = [series_handle(run, look) for run, look in styles.items()]
    if _diverged(frame):
        handles.append(
            Line2D([], [], color="black", linestyle="none", marker="x", markersize=8, label="diverged")
        )
    if len(handles) > 1:
        legend_below(figure, handles)
    return figure


def _draw_run(axes: Axes, rows: pd.DataFrame, measure: str, look: Look, place: int) -> None:
    """The line, band and cross of one run over its seeds. place: of the run in the panel."""
    values = rows.pivot(index="round", columns="seed", values=measure)  # [rounds, seeds]
    values = values[np.isfinite(values.astype(float)).all(axis=1)]
    mean = values.mean(axis=1)
    # Lines of one panel have their markers at different rounds, so that one does not hide the other.
    step = max(1, round(len(values) / MARKED))
    axes.plot(
        mean.index, mean, color=look.colour, linestyle=look.line, marker=look.marker,
        markevery=(place % step, step), markerfacecolor="white",
    )  # fmt: skip
    if values.shape[1] > 1:
        axes.fill_between(
            values.index, values.min(axis=1), values.max(axis=1), color=look.colour, alpha=0.15, linewidth=0
        )
    if _diverged(rows) and len(mean):
        axes.plot(
            mean.index[-1], mean.iloc[-1], color=look.colour, marker="x", markersize=9, markeredgewidth=2
        )


def _diverged(rows: pd.DataFrame) -> bool:
    return "diverged" in rows and bool(rows["diverged"].astype(str).str.lower().eq("true").any())
