"""How true a plane is: the models' own loss beside the loss at their projections, and their residuals.

Both losses are measured under the plane's batch-norm policy, so that they differ by the projection alone;
where the policy itself changes the models' own loss, a line says so. The residual is the part of a model's
distance from the plane's centre that lies off the plane (0: on it).
"""

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fedscape.figures.labels import balanced
from fedscape.figures.medium import medium
from fedscape.figures.style import Look, plain_log_ticks

ALONE = 5.0, 1.9  # inches: of the small panels in a figure of their own, a row's height
SMALL = 7  # points: font size in the small panels
OFF_PLANE = "off the plane\n(share of distance)"
NOTE_LETTERS = 40  # of a line of the note above a small panel
MOST_NAMED_CLIENTS, NUMBER = 10, 0.2  # numbers on an axis; inches that each has for itself
CENTRE = "\n0 %: the plane's centre"
OFF_PLANE_NOTE = "Off the plane: the share of a model's distance from the plane's centre that lies off it"
CENTRE_NOTE = "; of the centre itself, 0 %"
OTHER_MODELS = " (\N{BLACK UP-POINTING TRIANGLE} start, \N{BLACK STAR} average)"
ON_CENTRE = 1e-6  # distance in parameter space, and share of it
WORTH_A_NOTE = 0.01  # relative change of a model's loss by the batch-norm policy
POLICIES = {
    "keep": "batch norm as at the centre",
    "interpolate": "batch norm interpolated",
    "recalibrate": "batch norm recalibrated",
}


def compare_rounds(losses: Axes, residuals: Axes, markers: pd.DataFrame, styles: Mapping[str, Look]) -> None:
    """For trajectories: shown against true loss, a point per round, and the residual by round.

    A point on the diagonal is shown at its true height; below it, the plane flatters.
    """
    shown = _positive_losses(markers)
    if shown.size:
        ends = shown.min() / 1.2, shown.max() * 1.2
        losses.plot(ends, ends, color="0.5", linewidth=0.8)
        losses.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        plain_log_ticks(losses.xaxis, most=4)
        plain_log_ticks(losses.yaxis, most=4)
    words = {"transform": losses.transAxes, "fontsize": SMALL - 1, "color": "0.35"}
    if medium().in_print:
        medium().note("Above the diagonal, the plane shows a model too high, below it too low.")
    else:
        losses.text(0.03, 0.95, "shown too high", va="top", **words)
        losses.text(0.98, 0.05, "shown too low", ha="right", **words)
    for (run, _), rows in markers.groupby(["run", "seed"], sort=False):
        look, rows = styles[str(run)], rows.sort_values("round")
        losses.plot(rows["loss_under_policy"], rows["loss_at_projection"], linestyle="none", **_dots(look))
        off = rows["residual"].where(~at_centre(rows))
        residuals.plot(rows["round"], off, color=look.colour, linestyle=look.line, linewidth=1.2)
        centre = rows.loc[at_centre(rows), "round"]
        if len(centre):
            residuals.plot(centre, centre * 0, color=look.colour, linestyle="none", marker="o", clip_on=False)
    losses.set(xlabel="true loss", ylabel="loss at projection")
    residuals.set(xlabel="round", ylabel=_off_plane(markers), ylim=(0, 1.02))
    residuals.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    residuals.yaxis.set_major_formatter(PercentFormatter(1))
    _finish(losses, residuals, markers)


def compare_runs(losses: Axes, residuals: Axes, markers: pd.DataFrame, styles: Mapping[str, Look]) -> None:
    """For single models: a line per run, from true loss (filled) to the loss shown (hollow); its residual."""
    runs = list(dict.fromkeys(markers["run"]))  # seeds of a run share its line
    for row in markers.to_dict("records"):
        look, height = styles[row["run"]], runs.index(row["run"])
        pair = [row["loss_under_policy"], row["loss_at_projection"]]
        losses.plot(pair, [height, height], color="0.6", linewidth=1.2, zorder=1)
        losses.plot(pair[0], height, **{**_dots(look), "markerfacecolor": look.colour})
        losses.plot(pair[1], height, **_dots(look))
        residuals.plot(row["residual"], height, **{**_dots(look), "markerfacecolor": look.colour})
    if _positive_losses(markers).size:
        losses.set_xscale("log")
        plain_log_ticks(losses.xaxis, most=4)
    losses.set(
        xlabel="loss: true (filled),\nat projection (hollow)", yticks=range(len(runs)), yticklabels=runs
    )
    residuals.set(xlabel=_off_plane(markers), xlim=(-0.03, 1.03), yticks=range(len(runs)), yticklabels=[])
    residuals.xaxis.set_major_formatter(PercentFormatter(1))
    for axes in (losses, residuals):
        axes.set_ylim(len(runs) - 0.5, -0.5)  # the first run on top
    _finish(losses, residuals, markers)


def compare_clients(
    losses: Axes, residuals: Axes, markers: pd.DataFrame, named_client: int | None, rim: str
) -> None:
    """For one round: start, clients by number, aggregate from left to right; true loss filled, shown hollow.

    markers: columns role (start, client, aggregate), client. named_client: has the colour `rim`.
    """
    order = {"start": 0, "client": 1, "aggregate": 2}
    rows = markers.assign(order=markers["role"].map(order)).sort_values(["order", "client"])
    shapes = {"start": "^", "client": "o", "aggregate": "*"}
    for position, row in enumerate(rows.to_dict("records")):
        colour = rim if row["role"] == "client" and row["client"] == named_client else "black"
        dots = {"color": colour, "marker": shapes[row["role"]], "markersize": 4.5, "markeredgewidth": 0.9}
        pair = [row["loss_under_policy"], row["loss_at_projection"]]
        losses.plot([position, position], pair, color="0.6", linewidth=1.0, zorder=1)
        losses.plot(position, pair[0], **dots)
        losses.plot(position, pair[1], **dots, markerfacecolor="none")
        residuals.plot(position, row["residual"], **dots)
    if _positive_losses(rows).size:
        losses.set_yscale("log")
        plain_log_ticks(losses.yaxis, most=4)
    clients = [(i, f"{client:.0f}") for i, client in enumerate(rows["client"]) if not pd.isna(client)]
    width = losses.get_window_extent().width / losses.figure.dpi  # before the layout, which changes it little
    step = math.ceil(max(len(clients) / MOST_NAMED_CLIENTS, NUMBER * len(rows) / width))
    ticks = dict(clients[::step])
    for axes in (losses, residuals):
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.set_xlabel(f"client{'' if medium().in_print else OTHER_MODELS}")
    losses.set_ylabel("loss: true (filled),\nat projection (hollow)")
    residuals.set(ylabel=_off_plane(rows), ylim=(-0.03, 1.03))
    residuals.yaxis.set_major_formatter(PercentFormatter(1))
    _finish(losses, residuals, markers)


def truth_grid(titles: Sequence[str]) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """An empty figure of the small panels alone: for each title a row of two, as a print has them."""
    width = medium().style.inches or ALONE[0]
    figure = Figure(figsize=(width, ALONE[1] * len(titles)), layout="constrained")
    rows = []
    for part, title in zip(figure.subfigures(len(titles), 1, squeeze=False).ravel(), titles, strict=True):
        losses, residuals = part.subplots(1, 2)
        if title:
            part.suptitle(title, fontsize=matplotlib.rcParams["axes.titlesize"])
        rows.append((losses, residuals))
    return figure, rows


def at_centre(markers: pd.DataFrame) -> pd.Series:
    """Which models are the plane's centre: at no distance from it that could be off the plane."""
    return (markers[["x", "y", "residual"]].astype(float).abs() < ON_CENTRE).all(axis="columns")


def _off_plane(markers: pd.DataFrame) -> str:
    """The label of the residual, which says where one of the models is the plane's centre."""
    centre = bool(at_centre(markers).any())
    if medium().in_print:
        medium().note(OFF_PLANE_NOTE + (CENTRE_NOTE if centre else ""))
        return "off the plane"
    return OFF_PLANE + (CENTRE if centre else "")


def policy_note(markers: pd.DataFrame) -> str:
    """How much the batch-norm policy changes the models' own loss; empty below WORTH_A_NOTE."""
    own, under = (markers[column].to_numpy(float) for column in ("loss", "loss_under_policy"))
    valid = np.isfinite(own) & np.isfinite(under) & (own > 0) & (under > 0)
    if not valid.any():
        return ""
    factor = np.exp(np.abs(np.log(under[valid] / own[valid])).max())
    if factor <= 1 + WORTH_A_NOTE:
        return ""
    policy = POLICIES.get(markers["batch_norm"].iloc[0], "batch norm")
    amount = f"up to {100 * (factor - 1):.0f} %" if factor < 2 else f"a factor of up to {factor:.3g}"
    return balanced(f"{policy}: models' own loss changes by {amount}", NOTE_LETTERS)


def _positive_losses(markers: pd.DataFrame) -> np.ndarray:
    """The losses that a logarithmic axis can show."""
    losses = markers[["loss_under_policy", "loss_at_projection"]].to_numpy(dtype=float)
    return losses[np.isfinite(losses) & (losses > 0)]


def _dots(look: Look) -> dict:
    return {"color": look.colour, "marker": look.marker, "markersize": 4.5, "markerfacecolor": "none"}


def _finish(losses: Axes, residuals: Axes, markers: pd.DataFrame) -> None:
    """A small font, a grid, and the note about the batch-norm policy."""
    losses.set_title(policy_note(markers), fontsize=SMALL - 0.5, loc="left")
    for axes in (losses, residuals):
        axes.grid(True)
        axes.tick_params(labelsize=SMALL)
        axes.xaxis.label.set_fontsize(SMALL)
        axes.yaxis.label.set_fontsize(SMALL)
