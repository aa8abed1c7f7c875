"""The surface of one client's own loss, drawn as lines over the surface of all clients' loss."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from fedscape.errors import FedscapeError
from fedscape.figures.style import halo_line, log_steps, scale_ends
from fedscape.figures.surface import smooth
from fedscape.tables.surfaces import SMALLEST_LOSS, lattice

CLIENT_LINES = 6  # most lines over the range of a client's own loss: more would tangle with the others

NUMBER_BOX = {"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0.6}


def chosen_surface(
    surface: pd.DataFrame, overall: pd.DataFrame, models: pd.DataFrame, client: int | None
) -> pd.DataFrame | None:
    """The rows of one client's own surface in a group; None where no client of the round has one.

    models: the group's markers. client: one that took part in the round, or None for the one of these whose
    own lowest point lies farthest from that of all clients together (`overall`). A client without samples
    has a surface without losses and is passed over.
    """
    took_part = models.loc[models["role"] == "client", "client"]
    in_group = surface["group"].isin(models["group"])
    rows = surface[in_group & surface["client"].isin(took_part) & np.isfinite(surface["loss"].astype(float))]
    clients = {int(number): rows[rows["client"] == number] for number in sorted(rows["client"].unique())}
    if client is not None and len(overall):
        if client not in clients:
            known = ", ".join(map(str, clients)) or "none: set client_losses for its plane"
            where = f"in the round of group {overall['group'].iloc[0]}"
            raise FedscapeError(f"client {client}: no surface of its own {where}; clients: {known}")
    elif clients and np.isfinite(overall["loss"].astype(float)).any():
        middle = lowest_point(overall)
        client = max(clients, key=lambda number: np.linalg.norm(lowest_point(clients[number]) - middle))
    if client not in clients:
        return None
    # Rows without a finite loss, too: the lattice is a whole rectangle.
    return surface[in_group & (surface["client"] == client)]


def lowest_point(surface: pd.DataFrame) -> np.ndarray:
    """x and y of the grid point with the lowest finite loss."""
    finite = surface[np.isfinite(surface["loss"])]
    return finite[["x", "y"]].to_numpy(float)[finite["loss"].argmin()]


def client_steps(surfaces: Sequence[pd.DataFrame], norm: LogNorm) -> np.ndarray:
    """The losses at which the clients' lines are drawn, the same in all panels."""
    losses = np.concatenate([[], *(surface["loss"] for surface in surfaces)])
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        return losses
    low = max(losses.min(), SMALLEST_LOSS)
    return log_steps(low, max(scale_ends(norm)[1], low), CLIENT_LINES)


def draw_own(axes: Axes, own: pd.DataFrame, steps: np.ndarray, colour: str) -> None:
    """Lines of one client's own loss, and a cross at its lowest point."""
    x, y, loss = lattice(own)
    loss = np.ma.masked_invalid(loss.T)  # matplotlib wants a row per y
    steps = steps[(steps > loss.min()) & (steps < loss.max())]
    if steps.size:
        x, y, loss = smooth(x, y, loss.T.filled(np.nan))
        lines = axes.contour(
            x, y, np.ma.masked_invalid(loss.T), steps, colors=colour, linewidths=1.1, zorder=2
        )
        for number in axes.clabel(lines, fmt="%g", fontsize=6.5, colors="black", inline_spacing=2):
            number.set_bbox({**NUMBER_BOX, "edgecolor": colour})
    axes.plot(
        *lowest_point(own), linestyle="none", marker="x", color=colour, markersize=7, markeredgewidth=1.8,
        path_effects=halo_line(1.8), zorder=2.5, clip_on=False,
    )  # fmt: skip
