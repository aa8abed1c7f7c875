"""A measure over the rounds, one line per run.

Frames: one, under any name, with a row per run and round: rounds.csv, drift.csv, or those that `rows` selects
of curvature.csv and, with a row per pair of models, layers.csv and distances.csv. Runs that differ only in
their seed are one line, their mean over seeds of the means over a round's clients; so are pairs that differ
only in their seeds, in their clients, or in the end that supplies the layers that are not averaged. Up to
three lines of a panel lie in bands from the smallest value to the largest; beside more of them, whose bands
would blend, stands a bar for the last round. The mean is drawn where all have a value: once a run has
diverged, the mean of the others would flatter. A cross marks that round. A smoothed mean ends where its
window does; what was measured stays behind it, and bands, bars and ends are of that. Lines of a single panel
that are many have their names at their ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedscape.columns.identity import NAMES
from fedscape.errors import FedscapeError
from fedscape.fields import RunKey
from fedscape.figures.axes import RoundLocator, fit_labels, percent_ticks
from fedscape.figures.end_names import WIDEST, name_ends
from fedscape.figures.labels import (
    BARRIERS,
    WHOLE,
    axis_label,
    balanced,
    barrier_label,
    pair_names,
    panel_titles,
    run_labels,
    texts,
    value_word,
)
from fedscape.figures.layer_names import layer_names
from fedscape.figures.layers import FLOORED, floor_note, without_noise
from fedscape.figures.looks import line_looks, pair_looks, run_looks
from fedscape.figures.panels import legend_below, panel_grid, surface_legend
from fedscape.figures.results import check_columns, check_numbers, over_seeds
from fedscape.figures.style import COLOURS, Look, graded_looks, plain_log_ticks, series_handle
from fedscape.tables.layers import later_round

LABEL_LETTERS = 36  # of a line of the vertical label
MARKED = 8  # rounds of a line that get a marker, at most
MOST_BANDS = 3  # lines of a panel whose bands can be told apart
MOST_IN_LEGEND = 4  # lines of a single panel that are named below it; more are named at their ends
LETTER = 0.062  # inches of a name at the end of a line
LANE = 0.017  # share of the rounds between two bars of the last round

BAR_WORDS = "last round, smallest to largest"

OF_CURVATURE = ("quantity", "index", "definition", "radius", "of", "data")
"""Columns that tell curves of a run apart."""

CAPTION = (
    "One line per run, the mean over seeds where there are several, in a band from the smallest to the "
    "largest, or with a bar at the last round where lines are many; a cross marks the round in which a run "
    "diverged. Where a line is smoothed, bold is its mean over a window of rounds, drawn where the window is "
    "whole; thin, and in band and bar, is what was measured."
)
SOURCES = ("table",)  # what a study file may draw it from
COLUMNS = ("measure", "rows", "lines")


@dataclass(frozen=True)
class Settings:
    """Which measure, and how it is laid out."""

    measure: str  # column of the table, for example test_accuracy
    panels: RunKey | None = None  # a panel per value of this column
    log: bool = False  # logarithmic vertical axis
    # which rows of the table are drawn: column -> value or list of values; null: all
    rows: dict | None = None
    lines: str | None = None  # a column whose values have lines of their own, for example split or layer
    # rounds of a centred mean, with what was measured thin behind it; below 1: a share of the rounds; 1: none
    smooth: int | float = 1

    def __post_init__(self):
        if self.smooth <= 0 or (self.smooth > 1 and self.smooth != int(self.smooth)):
            raise ValueError(
                f"smooth must be a number of rounds >= 1 or a share in (0, 1), got {self.smooth}"
            )


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError for a column that is not there or has no values."""
    ((name, frame),) = frames.items()
    measure = settings.measure
    columns = ("round", measure, *(settings.rows or {}), settings.lines)
    check_columns(frame, columns, f"measure {measure}: {name}")
    frame = _matching_rows(frame, settings.rows or {}, name)
    check_numbers(frame, measure, name)
    if settings.log:  # a run that begins at 0 would be a line from far below
        frame = frame.assign(**{measure: frame[measure].where(frame[measure] > 0)})
    if not np.isfinite(frame[measure].astype(float)).any():
        above = " above 0, for a logarithmic axis," if settings.log else ""
        raise FedscapeError(f"measure {measure}: the column has no finite value{above} in the rows drawn")
    if settings.lines == "layer":
        frame = frame.assign(layer=layer_names(frame))
    within = [settings.panels] if settings.panels else []
    frame = frame.assign(run=_line_names(frame, within, settings.lines, labels))
    if frame.duplicated([*within, "run", *_replicates(frame), "round"]).any():
        raise FedscapeError(
            f"measure {measure}: {name} has several rows for one run and round; narrow `where` or `rows`"
        )
    many = settings.lines is not None and frame["run"].nunique() > len(COLOURS)
    styles = graded_looks(frame["run"], apart=WHOLE) if many else _looks(frame, within, settings, labels)
    titles = panel_titles(frame, settings.panels, labels) if settings.panels else {None: ""}
    window = _window(settings.smooth, int(frame["round"].max()))
    vertical, percent = _vertical_label(frame, settings)
    if window > 1:
        vertical += f"\n(mean of {window} rounds; thin: each)"
    at_ends = len(titles) == 1 and len(styles) > MOST_IN_LEGEND
    width = 4.6 if len(titles) == 1 else 3.6
    names = LETTER * max(map(len, styles))
    width += names if at_ends else 0
    figure, panels = panel_grid(list(titles.values()), (width, 3.2), "round", vertical)
    too_wide = at_ends and names > WIDEST * figure.get_figwidth()
    at_ends = at_ends and not too_wide
    last, bars, floored = int(frame["round"].max()), False, False
    ends: dict[str, tuple[float, float]] = {}
    for axes, panel in zip(panels, titles, strict=True):
        panel_rows = frame if panel is None else frame[frame[settings.panels] == panel]
        several = panel_rows["run"].nunique() > MOST_BANDS
        for index, (run, rows) in enumerate(panel_rows.groupby("run", sort=False)):
            means, below = _means(rows, measure)
            floored |= below
            replicated = bool(rows.duplicated("round").any())
            ends |= _draw_line(axes, means["mean"], window, styles[str(run)], index, str(run))
            if several and replicated and last in means.index:
                ends[str(run)] = _draw_bar(axes, means, last, styles[str(run)], index)
                bars = True
            elif replicated and not several:
                _draw_band(axes, means, styles[str(run)])
            if _diverged(rows) and len(means):
                _draw_cross(axes, means["mean"], styles[str(run)])
        axes.grid(True, axis="y")
        if "regime" in frame and measure in FLOORED:
            axes.axhline(0, color="0.4", linewidth=0.8, zorder=1)
        axes.xaxis.set_major_locator(RoundLocator(last))
    for axes in panels:
        axes.set_ylabel(axes.get_ylabel() + floor_note(floored and bool(axes.get_ylabel())))
    if settings.log:
        panels[0].set_yscale("log")
        plain_log_ticks(panels[0].yaxis, most=9)
    if percent:
        percent_ticks(panels[0].yaxis)
    handles = [] if at_ends else [series_handle(run, look) for run, look in styles.items()]
    named = len(handles)
    if bars:
        handles.append(
            Line2D([], [], color="black", linestyle="none", marker="|", markersize=9, label=BAR_WORDS)
        )
    if _diverged(frame):
        handles.append(
            Line2D([], [], color="black", linestyle="none", marker="x", markersize=8, label="diverged")
        )
    if len(handles) > (named == 1):
        (surface_legend if too_wide or (many and not at_ends) else legend_below)(figure, handles)
    if at_ends:
        name_ends(panels[0], ends, styles)
    fit_labels(figure)
    return figure


def _window(smooth: float, last: int) -> int:
    """The odd number of rounds of a centred mean."""
    rounds = round(smooth * last) if smooth < 1 else int(smooth)
    return max(1, rounds + (rounds + 1) % 2)


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
    frame: pd.DataFrame, within: Sequence[str], settings: Settings, labels: Sequence[Mapping]
) -> dict[str, Look]:
    """A look per line. frame: with its names in `run`."""
    columns = [*NAMES, *OF_CURVATURE]
    if settings.lines is not None:
        return line_looks(frame, frame["run"], settings.lines, columns, within, labels)
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
    return balanced(words, LABEL_LETTERS), percent


def _means(rows: pd.DataFrame, measure: str) -> tuple[pd.DataFrame, bool]:
    """Mean, min and max over a run's seeds, by round; whether some are barriers that are drawn as 0."""
    means = over_seeds(rows, measure)
    if "regime" not in rows or measure not in FLOORED or not (rows["measure"] == "loss").all():
        return means, False
    return without_noise(means, over_seeds(rows, "barrier"))


def smoothed(values: pd.Series, window: int) -> pd.Series:
    """The centred mean over a window (odd) of rounds, the index, where there are values on either side."""
    if window == 1 or values.empty:
        return values
    first, last, half = values.index.min(), values.index.max(), window // 2
    means = values.reindex(range(first, last + 1)).rolling(window, center=True, min_periods=1).mean()
    return means.reindex(values.index[(values.index >= first + half) & (values.index <= last - half)])


def _draw_line(
    axes: Axes, mean: pd.Series, window: int, look: Look, index: int, name: str
) -> dict[str, tuple[float, float]]:
    """The mean of one run over its seeds; returns its end, as measured, by its name.

    index: of the run in the panel.
    """
    if mean.empty:
        return {}
    end = float(mean.index[-1]), float(mean.iloc[-1])
    if window > 1:
        axes.plot(mean.index, mean, color=look.colour, linewidth=0.6, alpha=0.45, zorder=1.5)
        mean = smoothed(mean, window)
    # Lines of a panel have their markers at different rounds, so that they do not hide each other.
    step = max(1, round(len(mean) / MARKED))
    axes.plot(
        mean.index, mean, color=look.colour, linestyle=look.line, marker=look.marker,
        markevery=(index % step, step), markerfacecolor="white",
    )  # fmt: skip
    return {name: end}


def _draw_band(axes: Axes, means: pd.DataFrame, look: Look) -> None:
    axes.fill_between(means.index, means["min"], means["max"], color=look.colour, alpha=0.15, linewidth=0)


def _draw_bar(axes: Axes, means: pd.DataFrame, last: int, look: Look, index: int) -> tuple[float, float]:
    """A bar from the last round's smallest value to its largest, in a lane of its own; returns its middle."""
    at, (mean, low, high) = last * (1 + LANE * (index + 1.5)), means.loc[last].to_numpy(float)
    axes.plot([at, at], [low, high], color=look.colour, linewidth=1.1, solid_capstyle="butt")
    axes.plot(at, mean, color=look.colour, marker=look.marker, markersize=3.5, markerfacecolor="white")
    return at, float(mean)


def _draw_cross(axes: Axes, mean: pd.Series, look: Look) -> None:
    axes.plot(mean.index[-1], mean.iloc[-1], color=look.colour, marker="x", markersize=9, markeredgewidth=2)


def _diverged(rows: pd.DataFrame) -> bool:
    return "diverged" in rows and bool(rows["diverged"].astype(str).str.lower().eq("true").any())
