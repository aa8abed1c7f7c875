"""One round of a run at close range: where its clients go, and where their average lies.

Frames: `surface` (surface.csv) and `markers` (markers.csv) of a plane of kind `clients`. One panel per group:
filled, the loss on all clients' data; as contour lines, the loss on one client's own data; and lines of local
training, from the round's start to each client (along its path, where kept) and on to the aggregate.
All markers are filled with the TRUE loss on all clients' data; the small panels below say how far it is from
the loss where the plane shows them. One colour scale, and one set of the client's lines, in all panels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedscape.errors import FedscapeError
from fedscape.figures.inset import draw_inset
from fedscape.figures.labels import panel_titles, run_labels
from fedscape.figures.markers import (
    EMPTY,
    common_handles,
    diverged_names,
    draw_points,
    name_points,
    points_of,
    true_fills,
)
from fedscape.figures.medium import medium
from fedscape.figures.own_surface import chosen_surface, client_steps, draw_own
from fedscape.figures.panels import surface_grid, surface_legend
from fedscape.figures.style import halo_line
from fedscape.figures.surface import (
    Limits,
    colour_bar,
    draw_surface,
    global_surfaces,
    label_axes,
    loss_scale,
    say_diverged,
)
from fedscape.figures.truth import compare_clients, truth_grid

NAMED = "#D55E00"  # the client whose own loss is drawn; all others are black and grey
OTHERS = "0.2"
START_MARKER, CLIENT_MARKER, AGGREGATE_MARKER = "^", "o", "*"
SIZES = {START_MARKER: 10, CLIENT_MARKER: 7, AGGREGATE_MARKER: 15}  # points

CAPTION = (
    "Filled: the loss of all clients' samples; contour lines: that of one client's own samples. Lines "
    "lead from the start of the round to each client's model and on to their average; markers are filled "
    "with the models' own loss on all clients' samples; where there are small panels below, they say how far "
    "that is from the loss where the plane shows it. Bands and lines of equal loss are interpolated between "
    "the points of a grid. Losses beyond the pointed ends of the colour bar (the lowest and the highest "
    "hundredth, if the scale ends by itself) share its end colours."
)
SOURCES = ("plane",)  # what a study file may draw it from
CLIENTS = True  # only planes of one round's clients


@dataclass(frozen=True)
class Settings:
    """Whose own surface is overlaid, and what stands beside."""

    client: int | None = None  # whose own loss is drawn; null: the round's whose lowest point is farthest off
    # loss where the colours end; null: the highest but for the highest hundredth, at most the larger of 10
    # and 10 times the worst model's, where models above 10 times their median are left out
    highest_loss: float | None = None
    inset: bool = True  # an enlarged part of a panel in which models hide each other
    truth: bool = True  # small panels that compare the models' own loss with the loss where they are shown

    def __post_init__(self):
        if self.client is not None and self.client < 0:
            raise ValueError(f"client must be at least 0, got {self.client}")
        if self.highest_loss is not None and not self.highest_loss > 0:
            raise ValueError(f"highest_loss must be > 0, got {self.highest_loss}")


def draw(frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()) -> Figure:
    """The figure. Raises FedscapeError where there are no clients, or not the one that is asked for."""
    surface, markers = frames["surface"], frames["markers"]
    alive = markers[markers["role"] != "diverged"]
    if len(alive) and not (alive["role"] == "client").any():
        raise FedscapeError("the plane has no clients; draw planes of kind clients")
    titles = panel_titles(markers, "group", labels)
    markers = markers.assign(run=run_labels(markers, within=["group"], labels=labels))
    surfaces = global_surfaces(surface, markers)
    own = {
        group: chosen_surface(surface, rows, alive[alive["group"] == group], settings.client)
        for group, rows in surfaces.items()
    }
    drawn = pd.concat(surfaces.values())
    norm = loss_scale(drawn, alive, settings.highest_loss)
    steps = client_steps([rows for rows in own.values() if rows is not None], norm)

    figure, cells, bar = surface_grid(list(surfaces.values()), settings.truth and not medium().in_print)
    panels: dict[Axes, tuple[pd.DataFrame, pd.DataFrame, int | None]] = {}
    for (cell, below), (group, title) in zip(cells, titles.items(), strict=True):
        models = alive[alive["group"] == group]
        axes = figure.add_subplot(cell)
        if models.empty:
            axes.set_title(title)
            say_diverged(axes, markers.loc[markers["group"] == group, "run"])
            continue
        number = models.loc[models["role"] == "client", "round"].iloc[0]
        axes.set_title(", ".join(word for word in (title, f"round {number}") if word))
        draw_surface(axes, surfaces[group], norm, models)
        label_axes(axes, models)
        overlaid = own[group]
        named_client = None if overlaid is None else int(overlaid["client"].iloc[0])
        if overlaid is not None:
            draw_own(axes, overlaid, steps, NAMED)
        _draw_round(axes, models, named_client, norm)
        panels[axes] = models, surfaces[group], named_client
        if below is not None:
            losses, residuals = map(figure.add_subplot, below)
            compare_clients(losses, residuals, models[models["role"] != "path"], named_client, NAMED)
    if len(drawn):
        colour_bar(figure, bar, drawn, alive, norm)
    handles = [] if alive.empty else _legend_handles(alive, any(rows is not None for rows in own.values()))
    surface_legend(figure, handles + common_handles(drawn, diverged_names(markers, titles)))
    figure.draw_without_rendering()  # how large panels are decides what has room in them
    for axes, (models, surface, named_client) in panels.items():

        def draw_within(
            inset: Axes, limits: Limits, models=models, surface=surface, named_client=named_client
        ) -> None:
            draw_surface(inset, surface, norm, models, limits)
            _draw_round(inset, models, named_client, norm)

        ends = points_of(models[models["role"] != "path"])
        size = SIZES[CLIENT_MARKER] * medium().marker
        inset = draw_inset(axes, ends, size, ends, draw_within) if settings.inset else None
        _name_client([axes] if inset is None else [axes, inset], models, named_client)
    return figure


def diagnostics(
    frames: Mapping[str, pd.DataFrame], settings: Settings, labels: Sequence[Mapping] = ()
) -> Figure | None:
    """The small panels alone, for print; None where they are switched off."""
    markers, surface = frames["markers"], frames["surface"]
    titles = panel_titles(markers, "group", labels)
    groups = {
        str(group): rows
        for group, rows in markers[~markers["role"].isin(["diverged", "path"])].groupby("group", sort=False)
    }
    if not (settings.truth and groups):
        return None
    figure, rows_of_panels = truth_grid([titles[group] for group in groups])
    surfaces = global_surfaces(surface, markers)
    for (losses, residuals), (group, models) in zip(rows_of_panels, groups.items(), strict=True):
        own = chosen_surface(surface, surfaces[group], models, settings.client)
        named_client = None if own is None else int(own["client"].iloc[0])
        compare_clients(losses, residuals, models, named_client, NAMED)
    return figure


def _draw_round(axes: Axes, markers: pd.DataFrame, named_client: int | None, norm: LogNorm) -> None:
    """Start, clients and aggregate of one round, and the lines between them."""
    points = {
        role: rows.set_index("client")[["x", "y"]] for role, rows in markers.groupby("role") if role != "path"
    }
    start, aggregate = (points[role].to_numpy()[0] for role in ("start", "aggregate"))
    for client, end in points["client"].iterrows():
        is_named = client == named_client
        colour, raised = (NAMED, 0.2) if is_named else (OTHERS, 0)
        path = markers[(markers["role"] == "path") & (markers["client"] == client)]
        path = points_of(path.sort_values("point"))
        line = np.vstack([start, path, end])
        width = 1.6 if is_named else 0.9
        axes.plot(*line.T, color=colour, linewidth=width, path_effects=halo_line(width), zorder=3 + raised)
        axes.plot(*path.T, ".", color=colour, markersize=4, zorder=3.1 + raised)
        axes.plot(
            *np.vstack([end, aggregate]).T, color=colour, linewidth=0.6, linestyle=(0, (2, 2)), zorder=2.9
        )
    rims = {"client": OTHERS, "start": "black", "aggregate": "black"}
    shapes = {"client": CLIENT_MARKER, "start": START_MARKER, "aggregate": AGGREGATE_MARKER}
    for zorder, (role, shape) in enumerate(shapes.items(), start=4):
        rows = markers[markers["role"] == role]
        for rim, models in (
            (rims[role], rows[rows["client"] != named_client]),
            (NAMED, rows[rows["client"] == named_client]),
        ):
            if models.empty:
                continue
            size = SIZES[shape] + (2 if rim == NAMED else 0)
            fills = true_fills(models["loss"], norm)
            draw_points(axes, points_of(models), fills, shape, size, rim, zorder=zorder)


def _name_client(panels: Sequence[Axes], markers: pd.DataFrame, client: int | None) -> None:
    """The name of a client beside its model, in a panel and its inset; where none has room, in the title."""
    models = markers[markers["role"] != "path"]
    named = models[(models["role"] == "client") & (models["client"] == client)]
    if named.empty:
        return
    name = f"client {client}"
    written = [name_points(axes, {name: points_of(named)}, points_of(models), NAMED) for axes in panels]
    if not any(written):
        panels[0].set_title(f"{panels[0].get_title()} ({name})".lstrip())


def _legend_handles(markers: pd.DataFrame, overlaid: bool) -> list[Artist]:
    number = "each" if markers["group"].nunique() > 1 else "the"
    handles: list[Artist] = [
        Line2D([], [], marker=START_MARKER, markersize=9, label=f"start of {number} round", **EMPTY),
        Line2D([], [], marker=CLIENT_MARKER, markersize=7, label="client after local training", **EMPTY),
        Line2D([], [], marker=AGGREGATE_MARKER, markersize=12, label="their average", **EMPTY),
        Line2D([], [], color=OTHERS, linewidth=0.9, label="local training"),
        Line2D([], [], color=OTHERS, linewidth=0.6, linestyle=(0, (2, 2)), label="averaging"),
    ]
    if overlaid:
        words = "own loss of the named client, cross: lowest"
        handles.append(Line2D([], [], color=NAMED, linewidth=1.0, marker="x", label=words))
    return handles
