"""Models on a loss surface: trajectories, or final models, on a plane through parameter space.

Frames: `surface` (surface.csv) and `markers` (markers.csv). One panel per group of runs, all on one colour
scale. A plane shows each model at its projection, where the loss may differ from the model's own. So each
marker is filled with its TRUE loss on the scale of the surface: where a marker stands out from its ground,
the plane misleads, and the small panels below say by how much (`figures/truth.py`).
Runs that differ only in their seed are drawn one by one, thin, around their mean. Runs that diverged are
named, not drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedscape.columns.identity import NAMES
from fedscape.errors import FedscapeError
from fedscape.figures.inset import draw_inset
from fedscape.figures.labels import panel_titles, run_labels
from fedscape.figures.looks import run_looks
from fedscape.figures.markers import LAST, draw_models, legend_handles, name_models, points_of
from fedscape.figures.medium import medium
from fedscape.figures.panels import legend_below, surface_grid, surface_legend
from fedscape.figures.style import Look, series_handle
from fedscape.figures.surface import (
    Limits,
    colour_bar,
    draw_surface,
    global_surfaces,
    label_axes,
    loss_scale,
    say_diverged,
)
from fedscape.figures.truth import compare_rounds, compare_runs, truth_grid

CAPTION = (
    "Colour is the loss of all clients' samples on a plane through the models, with bands and lines of equal "
    "loss interpolated between the points of a grid. Losses beyond the pointed ends of the colour bar (the "
    "lowest and the highest hundredth, if the scale ends by itself) share its end colours. Each marker is "
    "filled with the model's own loss; where there are small panels below, they say how far that is from the "
    "loss where the plane shows it."
)
SOURCES = ("plane",)  # what a study file may draw it from
CLIENTS = False  # planes of one round's clients are for `local`


@dataclass(frozen=True)
class Settings:
    """What a contour figure shows beside surface and models."""

    # loss where the colours end; null: the highest but for the highest hundredth, at most the larger of 10
    # and 10 times the worst model's, where models above 10 times their median are left out
    highest_loss: float | None = None
    marked_rounds: int = 10  # most rounds of a trajectory that get a marker; its line has all
    inset: bool = True  # an enlarged part of a panel in which starts and ends hide each other
    truth: bool = True  # small panels that compare the models' own loss with the loss where they are shown

    def __post_init__(self):
        if self.highest_loss is not None and not self.highest_loss > 0:
            raise ValueError(f"highest_loss must be > 0, got {self.highest_loss}")
        if self.marked_rounds < 2:
            raise ValueError(f"marked_rounds must be at least 2 (start and end), got {self.marked_rounds}")


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError where a group has markers and no surface, or no loss is finite."""
    markers, styles = _named(frames["markers"], labels)
    titles = panel_titles(markers, "group", labels)
    alive = markers[markers["role"] == "global"]
    surfaces = global_surfaces(frames["surface"], markers)
    drawn = pd.concat(surfaces.values())
    norm = loss_scale(drawn, alive, settings.highest_loss)

    truth = settings.truth and not medium().in_print and _is_worth_comparing(alive)
    figure, cells, bar = surface_grid(list(surfaces.values()), truth)
    panels: dict[Axes, tuple[pd.DataFrame, pd.DataFrame]] = {}
    for (cell, below), (group, title) in zip(cells, titles.items(), strict=True):
        models = alive[alive["group"] == group]
        axes = figure.add_subplot(cell, title=title)
        if models.empty:
            say_diverged(axes, markers.loc[markers["group"] == group, "run"])
            continue
        draw_surface(axes, surfaces[group], norm, models)
        draw_models(axes, models, styles, norm, settings.marked_rounds)
        label_axes(axes, models)
        panels[axes] = models, surfaces[group]
        if below is not None:
            losses, residuals = map(figure.add_subplot, below)
            _compare(losses, residuals, models, styles)
    if len(drawn):
        colour_bar(figure, bar, drawn, alive, norm)
    surface_legend(figure, legend_handles(markers, drawn, styles, titles))
    figure.draw_without_rendering()  # how large panels are decides what has room in them
    for axes, (models, surface) in panels.items():

        def draw_within(inset: Axes, limits: Limits, models=models, surface=surface) -> None:
            draw_surface(inset, surface, norm, models, limits)
            draw_models(inset, models, styles, norm, settings.marked_rounds)

        size = LAST * medium().marker
        taken = points_of(models)
        inset = draw_inset(axes, _ends(models), size, taken, draw_within) if settings.inset else None
        if inset is not None:
            name_models(inset, models)
        name_models(axes, models)
    return figure


def diagnostics(
    frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()
) -> Figure | None:
    """The small panels alone, for print; None where they would say nothing."""
    markers, styles = _named(frames["markers"], labels)
    titles = panel_titles(markers, "group", labels)
    groups = dict(iter(markers[markers["role"] == "global"].groupby("group", sort=False)))
    if not (settings.truth and any(_is_worth_comparing(rows) for rows in groups.values())):
        return None
    figure, rows_of_panels = truth_grid([titles[group] for group in groups])
    for (losses, residuals), models in zip(rows_of_panels, groups.values(), strict=True):
        _compare(losses, residuals, models, styles)
    along = bool(markers.duplicated(["group", "run", "seed"]).any())
    legend_below(figure, [series_handle(run, look, line=along) for run, look in styles.items()])
    return figure


def _named(markers: pd.DataFrame, labels: Sequence[Mapping]) -> tuple[pd.DataFrame, dict[str, Look]]:
    """The global models and runs that diverged, with the name of each run, and how it is drawn."""
    markers = markers[markers["role"].isin(["global", "diverged"])]
    if markers.empty:
        raise FedscapeError("the plane has no global models; planes of kind clients are drawn by kind local")
    markers = markers.assign(run=run_labels(markers, NAMES, ["group"], labels))
    return markers, run_looks(markers, markers["run"], NAMES, ["group"], labels)


def _ends(models: pd.DataFrame) -> np.ndarray:
    """x and y of the first and the last model of each run and seed."""
    by_round = models.sort_values("round").groupby(["run", "seed"])[["x", "y"]]
    return pd.concat([by_round.first(), by_round.last()]).to_numpy(float)


def _is_worth_comparing(models: pd.DataFrame) -> bool:
    """Whether a model is off the plane; one around a single model holds it exactly."""
    return bool((models["residual"] > 0).any())


def _compare(losses: Axes, residuals: Axes, models: pd.DataFrame, styles: Mapping[str, Look]) -> None:
    compare = compare_rounds if models.duplicated(["run", "seed"]).any() else compare_runs
    compare(losses, residuals, models, styles)
