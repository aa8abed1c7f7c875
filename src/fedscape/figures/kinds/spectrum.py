"""The density of the Hessian's eigenvalues, one line per run, on a logarithmic axis.

Frames: `density` (density.csv). Far to the right lie the few directions in which the loss is curved most;
left of 0, those in which it curves downwards. Runs that differ only in their seeds have a line each, all of
one look, and so have a round's clients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fedscape.columns.identity import NAMES
from fedscape.errors import FedscapeError
from fedscape.fields import CurvatureData, CurvatureModel
from fedscape.figures.axes import fit_labels
from fedscape.figures.labels import panel_titles, run_labels
from fedscape.figures.looks import line_looks, run_looks
from fedscape.figures.panels import legend_below, panel_grid
from fedscape.figures.style import plain_log_ticks, series_handle

LOWEST = 1e-6  # share of the highest density where the vertical axis ends: below lies the smoothing's tail
PANEL = 3.6, 3.2  # inches
ONE_PANEL = 4.6  # width of a single one

CAPTION = (
    "Density of the Hessian's eigenvalues on a logarithmic axis; right of 0 the loss curves upwards, left "
    "of it downwards."
)
SOURCES = ("curvature",)  # what a study file may draw it from


@dataclass(frozen=True)
class Settings:
    """Whose spectra are drawn, and when."""

    of: CurvatureModel = "global"  # clients: of every client's model of the round
    data: CurvatureData = "global"  # own: each client's model on its own samples
    rounds: list[int] | None = None  # a panel for each; null: all that were measured
    # a panel per value of this column; null: one for all
    panels: Literal["dataset", "model", "partition", "init", "method", "round"] | None = "round"


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError for what was not measured."""
    frame = _matching_rows(frames["density"], settings)
    within = [settings.panels] if settings.panels else []
    frame = frame.assign(line=run_labels(frame, NAMES, within, labels))
    if settings.panels != "round" and frame["round"].nunique() > 1:
        frame["line"] = frame["line"].str.cat("round " + frame["round"].astype(str), sep=", ")
        styles = line_looks(frame, frame["line"], "round", NAMES, within, labels)
    else:
        styles = run_looks(frame, frame["line"], NAMES, within, labels)
    titles = _titles(frame, settings.panels, labels)
    width = ONE_PANEL if len(titles) == 1 else PANEL[0]
    figure, panels = panel_grid(
        list(titles.values()), (width, PANEL[1]), "eigenvalue of the Hessian", "density of eigenvalues"
    )
    for axes, panel in zip(panels, titles, strict=True):
        panel_rows = frame if panel is None else frame[frame[settings.panels] == panel]
        for (line, *_), rows in panel_rows.groupby(["line", "seed", "round", "client"], sort=False):
            look = styles[str(line)]
            axes.plot(
                rows["eigenvalue"], rows["density"], color=look.colour, linestyle=look.line, linewidth=1.2
            )
        axes.grid(True, axis="y")
        axes.axvline(0, color="0.4", linewidth=0.8, zorder=1)
    highest = frame["density"].max()
    panels[0].set_yscale("log")
    panels[0].set_ylim(LOWEST * highest, 2 * highest)
    plain_log_ticks(panels[0].yaxis, most=9)
    if len(styles) > 1:
        legend_below(figure, [series_handle(line, look, marker=False) for line, look in styles.items()])
    fit_labels(figure)
    return figure


def _matching_rows(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The rows of these models and rounds."""
    of = {"global": "global", "clients": "client"}[settings.of]
    rows = frame[(frame["of"] == of) & (frame["data"] == settings.data)]
    if rows.empty:
        raise FedscapeError(f"no density of {settings.of} on {settings.data} samples")
    if not np.isfinite(rows[["eigenvalue", "density"]].to_numpy(float)).all():
        raise FedscapeError(f"a density of {settings.of} on {settings.data} samples is not finite")
    if settings.rounds is not None:
        measured = rows["round"].unique().tolist()
        for number in settings.rounds:
            if number not in measured:
                raise FedscapeError(
                    f"no density of round {number}; there are {', '.join(map(str, measured))}"
                )
        rows = rows[rows["round"].isin(settings.rounds)]
    return rows.reset_index(drop=True)


def _titles(frame: pd.DataFrame, panel: str | None, labels: Sequence[Mapping]) -> dict:
    """A title per panel."""
    if panel is None:
        return {None: ""}
    if panel == "round":
        rounds = sorted(frame["round"].unique().tolist())
        return {number: f"round {number}" for number in rounds}
    return panel_titles(frame, panel, labels)
