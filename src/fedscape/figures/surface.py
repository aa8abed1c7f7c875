"""A loss surface in one pair of axes, and the colour scale that all panels of a figure share."""

from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.patches import Rectangle
from scipy.interpolate import PchipInterpolator

from fedscape.errors import FedscapeError
from fedscape.figures.axes import fit_vertical_label
from fedscape.figures.labels import NO_BREAK, balanced
from fedscape.figures.medium import medium
from fedscape.figures.style import log_steps, plain_log_ticks, scale_ends
from fedscape.tables.surfaces import SMALLEST_LOSS, lattice, loss_ceiling, typical_models

# Cividis (perceptually uniform, alike for colour-blind readers, monotone in grey) with some white in it, so
# that the runs' lines stand out from all of it.
WHITE = 0.4
SURFACE_COLOURS = ListedColormap(
    (1 - WHITE) * matplotlib.colormaps["cividis"](np.linspace(0, 1, 256)) + WHITE, name="pale cividis"
)
BANDS = 32  # filled steps between the lowest and the highest loss
LINES, ALL_LINES = 12, 18  # numbered lines on the whole scale, at most; about as many with the thin ones
NEAR_LINES = 7  # thin lines among the models
NEAR, MOST_LINES = 0.05, 40  # distance of logarithms below which two lines are one; that fit on a small scale
LINE = "0.15"  # of all lines: dark enough for the darkest ground
Limits = tuple[tuple[float, float], tuple[float, float]]
LEFT_OUT = 0.01  # share of the losses beyond each end of the colours
EXTENDS = {
    (False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both",
}  # fmt: skip
FINE = 80  # points of a smooth surface along an axis, at least
NOT_FINITE = "0.75"  # grey of models and ground without a finite loss
HATCHING = {"facecolor": NOT_FINITE, "edgecolor": "0.45", "hatch": "////", "linewidth": 0}
LABEL_LETTER, FEWEST_LETTERS = 0.07, 16  # inches of a letter in an axis label; letters of its shortest line
DISTANCE = "(L2 distance in parameter space)"
# The words of an axis, by the column `axes`: what spans the plane.
AXES = {
    "pca": "{nth} principal direction{explained}\n" + DISTANCE,
    "models": "{nth} direction between models\n" + DISTANCE,
    "random": "{nth} random direction\n(filter-normalised)",
    "eigenvectors": "{nth} Hessian eigenvector\n(eigenvalue {curvature:.3g})",
}
PRINTED = {
    "pca": "{nth} direction{short}",
    "models": "{nth} direction",
    "random": "{nth} random direction",
    "eigenvectors": "{nth} eigenvector\n(eigenvalue {curvature:.3g})",
}
"""The same in print, where the caption says the rest."""
AXES_NOTES = {
    "pca": "Axes: L2 distance in parameter space along the two principal directions; in brackets their share "
    "of the models' squared distance from the centre.",
    "models": "Axes: L2 distance in parameter space along two directions between models.",
    "random": "Axes: two random directions, filter-normalised.",
    "eigenvectors": "Axes: distance along two eigenvectors of the Hessian.",
}


def global_surfaces(surface: pd.DataFrame, markers: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of all clients' loss by group, in the markers' order; no rows where all runs diverged."""
    rows = surface[surface["client"].isna()]
    surfaces = {group: rows[rows["group"] == group] for group in dict.fromkeys(markers["group"])}
    alive = set(markers.loc[markers["role"] != "diverged", "group"])
    for group, group_rows in surfaces.items():
        if group_rows.empty and group in alive:
            raise FedscapeError(f"group {group} has markers, but no rows in surface")
    return surfaces


def loss_scale(surface: pd.DataFrame, markers: pd.DataFrame, highest: float | None) -> LogNorm:
    """One logarithmic colour scale for all surfaces and for the markers' true losses.

    It leaves out the lowest and the highest hundredth of all losses, which have the colours of its ends, so
    that a single model or corner far off does not make the rest flat.
    highest: loss at which the scale ends; None: `loss_ceiling` at most, of models with up to ten times the
    median loss. Raises FedscapeError where there are models, but no finite loss.
    """
    losses = np.concatenate([surface["loss"], markers["loss"]]).astype(float)
    if not losses.size:
        return LogNorm(1, 10)  # all runs diverged: nothing is drawn on it
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        raise FedscapeError("no finite loss, neither on the surface nor of a model")
    low = max(np.quantile(losses, LEFT_OUT, method="lower"), SMALLEST_LOSS)
    if highest is None:
        ceiling = loss_ceiling(typical_models(markers))
        highest = min(np.quantile(losses, 1 - LEFT_OUT, method="higher"), ceiling)
    return LogNorm(low, max(highest, 1.01 * low), clip=True)  # a flat surface needs a scale of some width


def draw_surface(
    axes: Axes, surface: pd.DataFrame, norm: LogNorm, models: pd.DataFrame, limits: Limits | None = None
) -> None:
    """Filled bands and numbered lines of equal loss; grey hatching where the loss is not finite.

    Bands and lines are drawn through the grid's own interpolation (`smooth`); thin lines are densest
    between the losses at which the models are shown.
    surface: one row per grid point, columns i, j (along x and y), x, y, loss. models: their markers.
    limits: of x and y, for a part of the surface.
    """
    x, y, loss = lattice(surface)
    xlim, ylim = limits or ((x[0], x[-1]), (y[0], y[-1]))
    axes.set(xlim=xlim, ylim=ylim, aspect="equal")
    if not np.isfinite(loss).all():
        axes.add_patch(Rectangle((x[0], y[0]), np.ptp(x), np.ptp(y), zorder=0, **HATCHING))
    low, high = scale_ends(norm)
    points = f"{len(x)} x {len(y)} points"
    measured = loss
    x, y, loss = smooth(x, y, loss, limits)
    if loss is not measured:
        medium().note(f"Contours: through the monotone cubic interpolation of {points}.")
    shown = np.ma.clip(np.ma.masked_invalid(loss.T), low, high)  # matplotlib wants a row per y
    bands = np.geomspace(low, high, BANDS + 1)
    axes.contourf(x, y, shown, bands, norm=norm, cmap=SURFACE_COLOURS)
    steps = log_steps(low, high, LINES)
    near = near_models(models["loss_at_projection"], norm)
    gap = min(NEAR, float(np.log(high / low)) / MOST_LINES)
    thin = apart([*steps, *near, *between(steps, bands)], len(steps), gap)
    contour_lines(axes, (x, y, shown), thin, width=0.35, alpha=0.45)
    lines = contour_lines(axes, (x, y, shown), steps, width=0.7, alpha=0.8)
    if lines is not None:
        axes.clabel(lines, fmt="%g", fontsize=6.5)


def smooth(
    x: np.ndarray, y: np.ndarray, loss: np.ndarray, limits: Limits | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The surface on a finer grid, by monotone cubic interpolation of the logarithms of its losses.

    It goes through all points, and between two neighbours never beyond them (Fritsch and Carlson, 1980).
    A surface with a loss that is not finite, or fewer than four points along an axis, stays as it is.
    """
    if not np.isfinite(loss).all() or min(loss.shape) < 4:
        return x, y, loss
    logs = np.log(np.maximum(loss, SMALLEST_LOSS))
    finer_x, finer_y = (_finer(axis, ends) for axis, ends in zip((x, y), limits or (None, None), strict=True))
    along_x = PchipInterpolator(x, logs, axis=0)(finer_x)
    return finer_x, finer_y, np.exp(PchipInterpolator(y, along_x, axis=1)(finer_y))


def _finer(axis: np.ndarray, ends: tuple[float, float] | None) -> np.ndarray:
    """At least FINE points along an axis, its own among them; between these ends half as many."""
    if ends is not None:
        return np.linspace(*ends, FINE // 2)
    intervals = len(axis) - 1
    return np.linspace(axis[0], axis[-1], 1 + intervals * -(-FINE // intervals))


def near_models(losses: pd.Series, norm: LogNorm) -> np.ndarray:
    """Losses of thin lines where models are shown: evenly by their logarithm over most of the models."""
    valid = losses[np.isfinite(losses.astype(float)) & (losses > 0)].to_numpy(float)
    if not valid.size:
        return valid
    ends = np.clip(np.quantile(valid, (0.1, 0.9)), *scale_ends(norm))
    return np.geomspace(ends[0], ends[1], NEAR_LINES) if ends[1] > ends[0] else ends[:1]


def apart(losses: Sequence[float], fixed: int, gap: float) -> np.ndarray:
    """The losses, without those that are nearly one of those before them.

    fixed: how many of the first stand elsewhere. gap: least distance of two logarithms.
    """
    kept: list[float] = []
    for loss in losses:
        if all(abs(np.log(loss / other)) > gap for other in kept):
            kept.append(float(loss))
    return np.sort(kept[fixed:])


def between(steps: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Losses of the thin lines between the numbered ones and beyond their ends, evenly by their logarithm."""
    if len(steps) < 2:
        return bands[2:-1:2]
    ends = steps[0] ** 2 / steps[1], steps[-1] ** 2 / steps[-2]
    parts = max(2, round(ALL_LINES / len(steps)))
    indices = np.arange(parts * (len(steps) + 1) + 1)
    thin = np.exp(np.interp(indices / parts, range(len(steps) + 2), np.log([ends[0], *steps, ends[1]])))
    return thin[indices % parts != 0]


def contour_lines(
    axes: Axes, field: tuple, steps: np.ndarray, width: float, alpha: float
) -> ContourSet | None:
    """Lines of equal loss, of one colour; None where the field crosses no step."""
    x, y, losses = field
    steps = steps[(steps > losses.min()) & (steps < losses.max())] if losses.count() else steps[:0]
    if not steps.size:
        return None
    return axes.contour(x, y, losses, steps, colors=LINE, linewidths=width, alpha=alpha)


def label_axes(axes: Axes, markers: pd.DataFrame) -> None:
    """Axis labels that say what spans the plane, in lines that fit beside the surface; short ones in print.

    axes: with the surface drawn, since its limits decide the lengths of the lines.
    markers: of one group; columns axes, explained_x, curvature_x, ...
    """
    first = markers.iloc[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    width = axes.get_window_extent().width / axes.figure.dpi  # before the layout, which changes it little
    lengths = {"x": width, "y": width * (top - bottom) / (right - left)}
    words = (PRINTED if medium().in_print else AXES).get(first["axes"], "{nth} direction")
    medium().note(AXES_NOTES.get(first["axes"], ""))
    for axis, side, nth in ((axes.xaxis, "x", "first"), (axes.yaxis, "y", "second")):
        share = first[f"explained_{side}"]
        # No share of the variance: most planes are not centred on the models' mean.
        explained, short = "", ""
        if not pd.isna(share):
            percent = f"{100 * share:.0f}{NO_BREAK}%"
            explained, short = f", {percent} of squared distance from centre", f" ({percent})"
        text = words.format(nth=nth, explained=explained, short=short, curvature=first[f"curvature_{side}"])
        letters = max(FEWEST_LETTERS, int(lengths[side] / LABEL_LETTER / medium().letter))
        axis.set_label_text(balanced(text, letters))


def say_diverged(axes: Axes, runs: Iterable[str]) -> None:
    """The panel of a group whose runs all diverged, with their names."""
    axes.set(xticks=[], yticks=[], facecolor="0.95", box_aspect=1)
    words = balanced(", ".join(dict.fromkeys(runs)), 30)
    axes.text(
        0.5, 0.5, f"all runs diverged\n({words})", transform=axes.transAxes, ha="center", va="center",
        color="0.35",
    )  # fmt: skip


def colour_bar(
    figure: Figure, cell: SubplotSpec, surface: pd.DataFrame, markers: pd.DataFrame, norm: LogNorm
) -> None:
    """The shared colour bar, which says how losses were measured; pointed where some lie beyond its ends.

    surface, markers: the rows of all panels.
    """
    losses = np.concatenate([surface["loss"], markers["loss"]]).astype(float)
    losses = losses[np.isfinite(losses)]
    low, high = scale_ends(norm)
    beyond = bool((losses < low).any()), bool((losses > high).any())
    precision = ", bf16" if "bf16" in set(surface["precision"]) else ""
    samples = f"{int(surface['samples'].max()):,} training samples{precision}"
    words = f"loss ({samples}){interpolation_note(surface)}"
    if medium().in_print:
        medium().note("Colours: " + words.replace("\n", " ") + ".")
        words = "loss"
    own = LogNorm(norm.vmin, norm.vmax)  # whatever is drawn later by a shared one would reset the ticks
    axes = figure.add_subplot(cell)
    figure.colorbar(
        ScalarMappable(own, SURFACE_COLOURS),
        cax=axes,
        label=words,
        extend=EXTENDS[beyond],
    )
    plain_log_ticks(axes.yaxis, most=LINES)
    figure.draw_without_rendering()
    fit_vertical_label(axes)


def interpolation_note(surface: pd.DataFrame) -> str:
    """Lines that say how many points were interpolated, and how well; empty where all were evaluated."""
    filled = surface["interpolated"].astype(str).str.lower().eq("true")
    if not filled.any():
        return ""
    error = surface["interpolation_error"].max()
    accuracy = "" if pd.isna(error) else f" (up to {100 * error:.2g} % off where checked)"
    return f"\n{100 * (1 - filled.mean()):.0f} % of points evaluated,\nrest interpolated{accuracy}"
