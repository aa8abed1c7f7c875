"""A measure over the rounds, one line per run.

Frames: one, under any name, with a row per run and round: rounds.csv, drift.csv, or those that `rows` selects
of curvature.csv and, with a row per pair of models, layers.csv and distances.csv. Runs that differ only in
their seed are one line, their mean, in a band from the smallest to the largest; so are pairs that differ only
in their seeds, in their clients, or in the end that supplies the layers that are not averaged. The mean is
drawn where all have a value: once a run has diverged, the mean of the others would flatter. A cross marks
that round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fedscape.columns.identity import NAMES
from fedscape.errors import FedscapeError
from fedscape.fields import RunKey
from fedscape.figures.labels import (
    BARRIERS,
    WHOLE,
    axis_label,
    barrier_label,
    pair_names,
    panel_titles,
    run_labels,
    texts,
    value_word,
)
from fedscape.figures.looks import line_looks, pair_looks, run_looks
from fedscape.figures.panels import legend_below, panel_grid, surface_legend
from fedscape.figures.style import COLOURS, Look, graded_looks, plain_log_ticks, series_handle
from fedscape.tables.layers import later_round

LABEL_LETTERS = 34  # of a line of the vertical label
MARKED = 8  # rounds of a line that get a marker, at most

OF_CURVATURE = ("quantity", "index", "definition", "of", "data")  # columns that tell curves of a run apart

CAPTION = (
    "One line per run, the mean over seeds where there are several, in a band from the smallest to the "
    "largest; a cross marks the round in which a run diverged."
)
SOURCES = ("table",)  # what a study file may draw it from


@dataclass(frozen=True)
class Settings:
    """Which measure, and how it is laid out."""

    measure: str  # column of the table, for example test_accuracy
    panels: RunKey | None = None  # a panel per value of this column
    log: bool = False  # logarithmic vertical axis
    # which rows of the table are drawn: column -> value or list of values; null: all
    rows: dict | None = None
    lines: str | None = None  # a column whose values have lines of their own, for example split or layer


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError for a column that is not there or has no values."""
    ((name, frame),) = frames.items()
    measure = settings.measure
    for column in ("round", measure, *(settings.rows or {}), settings.lines):
        if column and column not in frame:
            raise FedscapeError(
                f"measure {measure}: {name} has no column {column}; it has {', '.join(frame.columns)}"
            )
    frame = _matching_rows(frame, settings.rows or {}, name)
    if not np.isfinite(frame[measure].astype(float)).any():
        raise FedscapeError(f"measure {measure}: the column has no finite value in the rows drawn")
    within = [settings.panels] if settings.panels else []
    frame = frame.assign(run=_line_names(frame, within, settings.lines, labels))
    if frame.duplicated([*within, "run", *_replicates(frame), "round"]).any():
        raise FedscapeError(
            f"measure {measure}: {name} has several rows for one run and round; narrow `where` or `rows`"
        )
    many = settings.lines is not None and frame["run"].nunique() > len(COLOURS)
    if many:
        styles = graded_looks(frame["run"], apart=WHOLE)
    else:
        styles = _looks(frame, within, settings.lines, labels)
    titles = panel_titles(frame, settings.panels, labels) if settings.panels else {None: ""}
    vertical, percent = _vertical_label(frame, settings)
    figure, panels = panel_grid(
        list(titles.values()), (4.6 if len(titles) == 1 else 3.6, 3.2), "round", vertical
    )
    for axes, panel in zip(panels, titles, strict=True):
        panel_rows = frame if panel is None else frame[frame[settings.panels] == panel]
        for index, (run, rows) in enumerate(panel_rows.groupby("run", sort=False)):
            _draw_run(axes, rows, measure, styles[str(run)], index)
        axes.grid(True, axis="y")
        if "regime" in frame and measure in ("barrier", "ratio"):
            axes.axhline(0, color="0.4", linewidth=0.8, zorder=1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if settings.log:
        panels[0].set_yscale("log")
        plain_log_ticks(panels[0].yaxis, most=9)
    elif percent:
        panels[0].yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    handles = [series_handle(run, look) for run, look in styles.items()]
    if _diverged(frame):
        handles.append(
            Line2D([], [], color="black", linestyle="none", marker="x", markersize=8, label="diverged")
        )
    if len(handles) > 1:
        (surface_legend if many else legend_below)(figure, handles)
    return figure


def _matching_rows(frame: pd.DataFrame, conditions: dict[str, object], name: str) -> pd.DataFrame:
    """The rows with these values, in the order of the lists; a pair of models has its later round."""
    frame = frame.reset_index(drop=True)
    for column, value in reversed(conditions.items()):
        positions = {text: i for i, text in enumerate(texts(value))}
        order = frame[column].astype(str).map(positions).dropna().sort_values(kind="stable")
        frame = frame.loc[order.index]
    if frame.empty:
        words = ", ".join(f"{column}={value}" for column, value in conditions.items())
        raise FedscapeError(f"rows: no row of {name} has {words}")
    return frame.assign(round=later_round(frame)) if "to_round" in frame else frame


def _line_names(
    frame: pd.DataFrame, within: Sequence[str], lines: str | None, labels: Sequence[Mapping]
) -> pd.Series:
    """The name of each row's line: its run or pair of models, and its value of the column `lines`."""
    if "to_seed" in frame:
        names = pair_names(frame, within, labels)
    else:
        names = run_labels(frame, [*NAMES, *OF_CURVATURE], within, labels)
    if lines is None:
        return names
    values = frame[lines].map(lambda value: value_word(value, lines))
    return names + ", " + values if names.nunique() > 1 else values


def _looks(
    frame: pd.DataFrame, within: Sequence[str], lines: str | None, labels: Sequence[Mapping]
) -> dict[str, Look]:
    """A look per line. frame: with its names in `run`."""
    columns = [*NAMES, *OF_CURVATURE]
    if lines is not None:
        return line_looks(frame, frame["run"], lines, columns, within, labels)
    if "to_seed" in frame:
        return pair_looks(frame, frame["run"], within, labels)
    return run_looks(frame, frame["run"], columns, within, labels)


def _replicates(frame: pd.DataFrame) -> list[str]:
    """The columns in which rows of one line and round may differ."""
    columns = ("seed", "to_seed", "client", "to_client", "rest", "draw")
    return [column for column in columns if column in frame]


def _vertical_label(frame: pd.DataFrame, settings: Settings) -> tuple[str, bool]:
    """The label of the vertical axis, and whether it is in percent."""
    measure, words = settings.measure, axis_label(settings.measure)
    if "quantity" in frame and measure == "value" and frame["quantity"].nunique() == 1:
        words = axis_label(frame["quantity"].iloc[0])
    percent = measure.endswith("accuracy")
    if "regime" in frame and measure in BARRIERS and frame["measure"].nunique() == 1:
        (quantity,), splits = frame["measure"].unique(), frame["split"].unique()
        words = barrier_label(measure, quantity, splits[0] if len(splits) == 1 else None)
        percent = quantity == "error" and measure != "ratio"
    return (fill(words, LABEL_LETTERS) if "to_seed" in frame else words), percent


def _draw_run(axes: Axes, rows: pd.DataFrame, measure: str, look: Look, index: int) -> None:
    """The line, band and cross of one run over its seeds. index: of the run in the panel."""
    values = rows.pivot(index="round", columns=_replicates(rows), values=measure)  # [rounds, seeds]
    values = values[values.astype(float).map(np.isfinite).all(axis="columns")]
    mean = values.mean(axis=1)
    # Lines of a panel have their markers at different rounds, so that they do not hide each other.
    step = max(1, round(len(values) / MARKED))
    axes.plot(
        mean.index, mean, color=look.colour, linestyle=look.line, marker=look.marker,
        markevery=(index % step, step), markerfacecolor="white",
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
