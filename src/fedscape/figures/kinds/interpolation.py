"""Loss along the straight line between two models, one line per pair: is there a barrier on the way?

Frames: `path` (path.csv) and, optionally, `barriers` (barriers.csv), whose `sup` then stands in the legend:
the highest rise of the path above the straight line between the values at its ends. One panel per group of
pairs. Colour and marker tell the model where a path ends, the line style the one where it begins, so that
pairs from two starts that agree are seen to agree. Pairs that differ only in their seeds are one line, their
mean, in a band from the smallest to the largest; groups that differ only in their seed share a panel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fedscape.errors import FedscapeError
from fedscape.fields import LossOrError, Split
from fedscape.figures.labels import SAMPLES, groups_over_seeds, pair_labels, panel_titles
from fedscape.figures.looks import end_looks
from fedscape.figures.panels import legend_columns, panel_grid
from fedscape.figures.style import Look, plain_log_ticks

MARKED = 7  # points of a path that get a marker, its ends among them
PANEL = 4.6, 4.2  # inches

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


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError where the split was not measured."""
    path = _with_names(frames["path"], settings, labels)
    sup = _sup(frames["barriers"], path, settings.measure) if "barriers" in frames else {}
    styles = end_looks(path, ["panel"], labels)
    titles = panel_titles(path.assign(seed=0), "panel", labels)
    figure, panels = panel_grid(
        list(titles.values()),
        PANEL,
        "interpolation coefficient (0: first model, 1: second)",
        f"{settings.measure} ({SAMPLES[settings.split]})",
    )
    several = bool(path.duplicated(["panel", "start", "end", "t"]).any())
    for axes, panel in zip(panels, titles, strict=True):
        pairs = path[path["panel"] == panel].groupby(["start", "end"], sort=False)
        for start, end, rows in ((str(start), str(end), rows) for (start, end), rows in pairs):
            barrier = f" ({sup[panel, start, end]:+.3g})" if (panel, start, end) in sup else ""
            name = f"{start} \N{RIGHTWARDS ARROW} {end}{barrier}"
            _draw_pair(axes, rows, settings.measure, styles[end], styles[start].line, name)
        axes.grid(True, axis="y")
        names = axes.get_legend_handles_labels()[1]
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=min(2, legend_columns(names, PANEL[0])),
            title=_heading(bool(sup), several), title_fontsize=8,
        )  # fmt: skip
    if settings.log:
        panels[0].set_yscale("log")
        plain_log_ticks(panels[0].yaxis, most=9)
    elif settings.measure == "error":
        panels[0].yaxis.set_major_formatter(PercentFormatter(1))
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


def _heading(barriers: bool, several: bool) -> str | None:
    words = [
        "highest rise above the line between the ends" if barriers else "",
        "means over seeds" if several else "",
    ]
    notes = "; ".join(filter(None, words))
    return f"from \N{RIGHTWARDS ARROW} to ({notes})" if notes else None


def _with_names(frame: pd.DataFrame, settings: Settings, labels: Sequence[Mapping]) -> pd.DataFrame:
    """The rows of the split, with their panel and the names of the two models in `start` and `end`."""
    frame = frame[frame["split"] == settings.split]
    if frame.empty:
        raise FedscapeError(f"no rows with split {settings.split}")
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
