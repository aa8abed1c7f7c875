"""Loss along the straight line between two models, one line per pair: is there a barrier on the way?

Frames: `path` (path.csv) and, where given, `barriers` (barriers.csv), whose `sup` then stands in the legend:
how far the path rises, at most, above the straight line between the values at its ends. One panel per group
of pairs. Colour and marker tell the model where a path ends, the line style the one where it begins, so that
pairs from two starts that agree are seen to agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fedscape.errors import FedscapeError
from fedscape.figures.labels import pair_labels, panel_titles
from fedscape.figures.panels import panel_grid
from fedscape.figures.style import looks, plain_log_ticks

SAMPLES = {"train": "training samples", "test": "test samples"}
MARKED = 7  # points of a path that get a marker, its ends among them

SOURCES = ("connectivity",)  # what a study file may draw it from


@dataclass(frozen=True)
class Settings:
    """What is shown along the paths."""

    measure: Literal["loss", "error"] = "loss"  # loss: mean cross-entropy; error: share of wrong answers
    split: Literal["train", "test"] = "train"  # train: the data of all clients together
    log: bool = False  # logarithmic vertical axis


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings) -> Figure:
    """The figure. Raises FedscapeError where the split was not measured."""
    path = _named(frames["path"], settings)
    sup = _sup(_named(frames["barriers"], settings), settings.measure) if "barriers" in frames else {}
    # One list for both ends: a model keeps its place in it, whichever end it is.
    styles = looks([*path["start"], *path["end"]])
    titles = panel_titles(path, "group")
    figure, panels = panel_grid(
        list(titles.values()),
        (4.6, 4.2),
        "interpolation coefficient (0: first model, 1: second)",
        f"{settings.measure} ({SAMPLES[settings.split]})",
    )
    for axes, group in zip(panels, titles, strict=True):
        for (start, end), rows in path[path["group"] == group].groupby(["start", "end"], sort=False):
            rows, look = rows.sort_values("t"), styles[end]
            marked = np.linspace(0, len(rows) - 1, MARKED).round().astype(int).tolist()[1:]
            t, values = rows["t"].to_numpy(), rows[settings.measure].to_numpy(dtype=float)
            barrier = f" ({sup[group, start, end]:+.3g})" if (group, start, end) in sup else ""
            axes.plot(
                t, values, color=look.colour, linestyle=styles[start].line, marker=look.marker,
                markevery=marked, markerfacecolor="white",
                label=f"{start} \N{RIGHTWARDS ARROW} {end}{barrier}",
            )  # fmt: skip
            # A path looks like the model it leads to; where several begin, one neutral dot.
            axes.plot(
                t[-1], values[-1], linestyle="none", color=look.colour, marker=look.marker, markersize=7
            )
            axes.plot(t[0], values[0], linestyle="none", color="black", marker="o", markersize=5)
        axes.grid(True, axis="y")
        heading = (
            "from \N{RIGHTWARDS ARROW} to (highest rise above the line between the ends)" if sup else None
        )
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, title=heading, title_fontsize=8)
    if settings.log:
        panels[0].set_yscale("log")
        plain_log_ticks(panels[0].yaxis, most=9)
    elif settings.measure == "error":
        panels[0].yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _named(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The rows of the split, with the names of the two models in `start` and `end`."""
    frame = frame[frame["split"] == settings.split]
    if frame.empty:
        raise FedscapeError(f"no rows with split {settings.split}")
    start, end = pair_labels(frame, within=["group"])
    return frame.assign(start=start, end=end)


def _sup(barriers: pd.DataFrame, measure: str) -> dict[tuple, float]:
    """(group, start, end) -> barrier."""
    rows = barriers[barriers["measure"] == measure]
    return {(row.group, row.start, row.end): row.sup for row in rows.itertuples()}
