"""A measure of models' curvature against a result of their runs, one point per run.

Frames: first one with a row per run, or several of which the mean counts: rows of curvature.csv that `rows`
selects, of one quantity; then `runs` (tables/runs.csv) and, for the last fifth of them, `rounds`. Runs of a
method have one look. Above each panel stands Spearman's rank correlation of its points with its 95 %
interval. Runs that diverged are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fedscape.columns.identity import IDENTITY
from fedscape.errors import FedscapeError
from fedscape.fields import Result, ResultRounds, RunKey
from fedscape.figures.axes import fit_labels, percent_ticks
from fedscape.figures.labels import NO_BREAK, axis_label, texts
from fedscape.figures.looks import value_looks
from fedscape.figures.medium import medium
from fedscape.figures.panels import legend_below, panel_grid
from fedscape.figures.results import check_columns, check_numbers, names_of, of_rounds, with_ends
from fedscape.figures.style import plain_log_ticks, series_handle
from fedscape.tables.rank_correlation import rank_correlation

SIZE = (3.6, 3.2)  # inches of a panel
MARGIN = 0.1  # of its range: a low panel in print cuts off no marker

CAPTION = (
    "One point per run, those of a method alike. Above each panel stands Spearman's rank correlation over "
    "its points, with a 95 % interval that takes runs for independent. Runs that diverged are left out."
)
SOURCES = ("table",)  # what a study file may draw it from
COLUMNS = ("measure", "rows")
BESIDE = ("runs", "rounds")


@dataclass(frozen=True)
class Settings:
    """Which measure, against which result, and how it is laid out."""

    rows: dict  # which rows of the table: column -> value or list of values, such as quantity and radius
    measure: str = "value"  # column of the table, along the horizontal axis
    column: Result = "test_accuracy"  # of runs.csv: of the global model
    rounds: ResultRounds = "last"  # which of them; of the last fifth the mean
    looks: RunKey = "method"  # what points have a look of their own by
    panels: RunKey | None = None  # a panel per value of this column
    log: bool = False  # logarithmic horizontal axis

    def __post_init__(self):
        if self.column == "best_test_accuracy" and self.rounds != "last":
            raise ValueError("rounds must be last with column best_test_accuracy, which is of one round")


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError for columns that are missing, and where no run has both values."""
    name, table = next(iter(frames.items()))
    if name == "runs":
        raise FedscapeError("table runs: it is what is drawn against; name another one, such as curvature")
    check_columns(table, (settings.measure, *settings.rows), name)
    check_numbers(table, settings.measure, name)
    for column, value in settings.rows.items():
        table = table[table[column].astype(str).isin(texts(value))]
    if "quantity" in table and table["quantity"].nunique() > 1:
        found = ", ".join(sorted(table["quantity"].unique()))
        raise FedscapeError(f"rows: {name} has several quantities ({found}); name one")
    runs = with_ends(frames, [settings.column], settings.rounds)
    runs = runs[~runs["diverged"].astype(str).str.lower().eq("true")]
    means = table.groupby(IDENTITY, sort=False)[settings.measure].agg(lambda each: each.mean(skipna=False))
    points = runs.merge(means.rename("along").reset_index(), on=IDENTITY)
    values = points[["along", settings.column]].to_numpy(dtype=float)
    drawn = np.isfinite(values).all(axis=1) & ((values[:, 0] > 0) | (not settings.log))
    points = points.loc[drawn]
    if points.empty:
        raise FedscapeError(f"rows: no run has both a {settings.measure} in {name} and a {settings.column}")
    names = names_of(points, labels)
    points = points.assign(
        panel=names[settings.panels] if settings.panels else "", look=names[settings.looks]
    )
    looks = value_looks(points, settings.looks, labels)
    correlations = {panel: _words(rows, settings) for panel, rows in points.groupby("panel", sort=False)}
    titles = [f"{panel}\n{words}" if panel else words for panel, words in correlations.items()]
    one = "quantity" in table and settings.measure == "value"
    horizontal = axis_label(table["quantity"].iloc[0] if one else settings.measure)
    vertical = of_rounds(axis_label(settings.column), settings.rounds)
    figure, panels = panel_grid(titles, SIZE, horizontal, vertical, False)
    for axes, panel in zip(panels, correlations, strict=True):
        for look, rows in points[points["panel"] == panel].groupby("look", sort=False):
            axes.plot(
                rows["along"], rows[settings.column], color=looks[str(look)].colour,
                marker=looks[str(look)].marker, linestyle="none", markerfacecolor="white",
            )  # fmt: skip
        axes.grid(True)
        axes.margins(MARGIN)
        if settings.log:
            axes.set_xscale("log")
            plain_log_ticks(axes.xaxis, most=6)
        if settings.column.endswith("accuracy"):
            percent_ticks(axes.yaxis)
    if len(looks) > 1:
        legend_below(figure, [series_handle(str(name), look, line=False) for name, look in looks.items()])
    fit_labels(figure)
    return figure


def _words(rows: pd.DataFrame, settings: Settings) -> str:
    """The rank correlation of a panel's points."""
    found = rank_correlation(rows["along"].to_numpy(float), rows[settings.column].to_numpy(float))
    if np.isnan(found.rho):
        return f"{found.pairs} runs"
    interval = "" if np.isnan(found.low) else f"\n[{found.low:z.2f},{NO_BREAK}{found.high:z.2f}]"
    name = "\N{GREEK SMALL LETTER RHO} =" if medium().in_print else "rank correlation"
    return f"{name} {found.rho:z.2f}{interval}, {found.pairs} runs"
