"""How true a plane is: the models' own loss beside the loss where the plane shows them, and their residual.

The residual is the part of a model's distance from the plane's centre that lies off the plane (0: on it).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fedscape.figures.style import Look, plain_log_ticks

SMALL = 7  # points: the words of the small panels
OFF_PLANE = "off the plane (share of distance)"


def compare_rounds(losses: Axes, residuals: Axes, markers: pd.DataFrame, styles: Mapping[str, Look]) -> None:
    """For trajectories: shown against true loss, a point per round, and the residual by round.

    A point on the diagonal is shown at its true height; below it, the plane flatters.
    """
    both = markers[["loss", "loss_at_projection"]].to_numpy(dtype=float)
    both = both[np.isfinite(both) & (both > 0)]
    if both.size:
        ends = both.min() / 1.2, both.max() * 1.2
        losses.plot(ends, ends, color="0.5", linewidth=0.8)
        losses.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        plain_log_ticks(losses.xaxis, most=4)
        plain_log_ticks(losses.yaxis, most=4)
    words = {"transform": losses.transAxes, "fontsize": SMALL - 1, "color": "0.35"}
    losses.text(0.03, 0.95, "shown too high", va="top", **words)
    losses.text(0.98, 0.05, "shown too low", ha="right", **words)
    for run, rows in markers.groupby("run", sort=False):
        look, rows = styles[run], rows.sort_values("round")
        losses.plot(rows["loss"], rows["loss_at_projection"], linestyle="none", **_dots(look))
        residuals.plot(rows["round"], rows["residual"], color=look.colour, linestyle=look.line, linewidth=1.2)
    losses.set(xlabel="true loss", ylabel="loss at projection")
    residuals.set(xlabel="round", ylabel=OFF_PLANE.replace(" (", "\n("), ylim=(0, 1))
    residuals.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    residuals.yaxis.set_major_formatter(PercentFormatter(1))
    _small(losses, residuals)


def compare_runs(losses: Axes, residuals: Axes, markers: pd.DataFrame, styles: Mapping[str, Look]) -> None:
    """For single models: a line per run, from true loss (filled) to the loss shown (hollow); its residual."""
    for place, row in enumerate(markers.to_dict("records")):
        look = styles[row["run"]]
        losses.plot(
            [row["loss"], row["loss_at_projection"]], [place, place], color="0.6", linewidth=1.2, zorder=1
        )
        losses.plot(row["loss"], place, **{**_dots(look), "markerfacecolor": look.colour})
        losses.plot(row["loss_at_projection"], place, **_dots(look))
        residuals.plot(row["residual"], place, **{**_dots(look), "markerfacecolor": look.colour})
    positive = markers[["loss", "loss_at_projection"]].to_numpy(dtype=float)
    if (positive[np.isfinite(positive)] > 0).any():
        losses.set_xscale("log")
        plain_log_ticks(losses.xaxis, most=4)
    losses.set(
        xlabel="loss: true (filled), at projection (hollow)",
        yticks=range(len(markers)),
        yticklabels=markers["run"],
    )
    residuals.set(xlabel=OFF_PLANE, xlim=(-0.03, 1.03), yticks=range(len(markers)), yticklabels=[])
    residuals.xaxis.set_major_formatter(PercentFormatter(1))
    for axes in (losses, residuals):
        axes.set_ylim(len(markers) - 0.5, -0.5)  # the first run on top
    _small(losses, residuals)


def _dots(look: Look) -> dict:
    return {"color": look.colour, "marker": look.marker, "markersize": 4.5, "markerfacecolor": "none"}


def _small(*panels: Axes) -> None:
    for axes in panels:
        axes.grid(True)
        axes.tick_params(labelsize=SMALL)
        axes.xaxis.label.set_size(SMALL)
        axes.yaxis.label.set_size(SMALL)
