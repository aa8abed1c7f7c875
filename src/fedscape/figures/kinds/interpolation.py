"""Loss along the straight line between two models, one line per pair: is there a barrier on the way?

Frames: `path` (path.csv) and, optionally, `barriers` (barriers.csv), whose `sup` then stands in the legend:
the largest rise of the path above the straight line between the values at its ends. That line is drawn thin,
and a bar joins it to the path where the rise is largest. One panel per group of pairs; figures of one
connection that differ in `rows` alone have one vertical range. Colour and marker tell the model where a path
ends, the line style the one where it begins, so that pairs from two starts that agree are seen to agree.
Pairs that differ only in their seeds are one line, their mean, in a band from the smallest to the largest;
groups that differ only in their seed share a panel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from fedscape.errors import FedscapeError
from fedscape.fields import LossOrError, Split
from fedscape.figures.axes import fit_labels, in_rows, share_range
from fedscape.figures.labels import (
    groups_over_seeds,
    loss_or_error_label,
    pair_labels,
    panel_titles,
    rise_words,
)
from fedscape.figures.looks import end_looks
from fedscape.figures.panels import legend_columns, panel_grid
from fedscape.figures.style import Look

MARKED = 7  # points of a path that get a marker, its ends among them
PANEL = 4.6, 4.2  # inches
HEADING_LETTER = 0.062  # inches, of a letter of a legend's title
AXIS = 0.48  # inches of the horizontal axis with its label

CAPTION = (
    "Loss along the straight line between two models; a barrier is a rise above the straight line between "
    "the values at the two ends."
)
SOURCES = ("connectivity",)  # what a study file may draw it from
CONNECTION = "path"  # the kind that it draws


@dataclass(frozen=True)
class Settings:
    """What is shown along the paths."""

    measure: LossOrError = "loss"  # loss: mean cross-entropy; error: share of wrong answers
    split: Split = "train"  # train: the data of all clients together
    log: bool = False  # logarithmic vertical axis
    # which rows are drawn, column -> value or list of values; the range is that of all rows of `where`, so
    # that figures which differ in `rows` alone compare; null: all
    rows: dict | None = None


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError where the split was not measured."""
    measured = _of_split(frames["path"], settings)
    path = _with_names(measured[in_rows(measured, settings.rows)], labels)
    sup = _sup(frames["barriers"], path, settings.measure) if "barriers" in frames else {}
    styles = end_looks(path, ["panel"], labels)
    titles = panel_titles(path.assign(seed=0), "panel", labels)
    figure, panels = panel_grid(
        list(titles.values()),
        PANEL,
        "interpolation coefficient (0: first model, 1: second)",
        loss_or_error_label(settings.measure, settings.split),
    )
    cell = panels[0].get_subplotspec()
    width = figure.get_figwidth() / (cell.get_gridspec().ncols if cell else 1)
    several = bool(path.duplicated(["panel", "start", "end", "t"]).any())
    for axes, panel in zip(panels, titles, strict=True):
        pairs = path[path["panel"] == panel].groupby(["start", "end"], sort=False)
        for start, end, rows in ((str(start), str(end), rows) for (start, end), rows in pairs):
            name = f"{start} \N{RIGHTWARDS ARROW} {end}"
            if (panel, start, end) in sup:
                name += f" ({rise_words(sup[panel, start, end], settings.measure, sign='+')})"
            _draw_pair(axes, rows, settings.measure, styles[end], styles[start].line, name)
        axes.grid(True, axis="y")
        names = axes.get_legend_handles_labels()[1]
        below = axes.transAxes + ScaledTranslation(0, -AXIS, figure.dpi_scale_trans)
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below,
            ncols=min(2, legend_columns(names, width)),
            title=fill(_heading(bool(sup), several), int(width / HEADING_LETTER)), title_fontsize=8,
        )  # fmt: skip
    share_range(panels, measured[settings.measure], settings.measure, settings.log)
    fit_labels(figure)
    return figure


def _draw_pair(axes: Axes, rows: pd.DataFrame, measure: str, look: Look, line: object, name: str) -> None:
    """The line between two models; of several seeds, their mean where all have a value, in a band."""
    seeds = rows.pivot(index="t", columns=["seed", "to_seed"], values=measure).astype(float)
    t, mean = seeds.index.to_numpy(), seeds.mean(axis=1, skipna=False).to_numpy()
    marked = np.linspace(0, len(t) - 1, MARKED).round().astype(int).tolist()[1:]
    axes.plot(
        t, mean, color=look.colour, linestyle=line, marker=look.marker, markevery=marked,
        markerfacecolor="white", label=name,
    )  # fmt: skip
    if seeds.shape[1] > 1:
        axes.fill_between(t, seeds.min(axis=1), seeds.max(axis=1), color=look.colour, alpha=0.15, linewidth=0)
    # A path looks like the model that it leads to; its start, which paths may share, is a black dot.
    axes.plot(t[-1], mean[-1], linestyle="none", color=look.colour, marker=look.marker, markersize=7)
    axes.plot(t[0], mean[0], linestyle="none", color="black", marker="o", markersize=5)
    _draw_rise(axes, t, mean, look)


def _draw_rise(axes: Axes, t: np.ndarray, values: np.ndarray, look: Look) -> None:
    """The straight line between the ends of a path, and a bar up to the path where it rises most above."""
    straight = values[0] + t * (values[-1] - values[0])
    axes.plot(t, straight, color=look.colour, linewidth=0.7, linestyle=(0, (1, 1.5)))
    rise = values - straight
    if np.isfinite(rise).all() and rise.max() > 0:
        top = int(rise.argmax())
        axes.plot(
            [t[top]] * 2, [straight[top], values[top]], color=look.colour, linewidth=0.9, marker="_",
            markersize=6,
        )  # fmt: skip


def _heading(barriers: bool, several: bool) -> str:
    words = [
        "bar: largest rise above the thin line between the ends" if barriers else "",
        "means over seeds" if several else "",
    ]
    notes = "; ".join(filter(None, words))
    return f"from \N{RIGHTWARDS ARROW} to ({notes})" if notes else ""


def _of_split(path: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The rows of the split. Raises FedscapeError where it, or what `rows` names, is not there."""
    path = path[path["split"] == settings.split]
    if path.empty:
        raise FedscapeError(f"no rows with split {settings.split}")
    for column, value in (settings.rows or {}).items():
        if column not in path:
            raise FedscapeError(f"rows: path has no column {column}; it has {', '.join(path.columns)}")
        if not in_rows(path, {column: value}).any():
            known = ", ".join(path[column].astype(str).unique())
            raise FedscapeError(f"rows: no row of path has {column}={value}; there are {known}")
    return path


def _with_names(frame: pd.DataFrame, labels: Sequence[Mapping]) -> pd.DataFrame:
    """The rows with their panel and the names of the two models in `start` and `end`."""
    frame = frame.assign(panel=groups_over_seeds(frame))
    start, end = pair_labels(frame, ["panel"], labels)
    return frame.assign(start=start, end=end)


def _sup(barriers: pd.DataFrame, path: pd.DataFrame, measure: str) -> dict[tuple, float]:
    """(panel, start, end) -> barrier, the mean over seeds. path: from `_with_names`."""
    pair = [column for column in barriers if column in path and column not in ("sup", "measure")]
    names = path[[*pair, "panel", "start", "end"]].drop_duplicates()
    rows = names.merge(barriers[barriers["measure"] == measure], on=pair)
    means = rows.groupby(["panel", "start", "end"], sort=False)["sup"].mean().reset_index()
    return {(panel, start, end): mean for panel, start, end, mean in means.itertuples(index=False)}
