"""A loss surface in one pair of axes, and the colour scale that all panels of a figure share."""

from collections.abc import Iterable
from textwrap import fill

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.contour import ContourSet
from matplotlib.patches import Rectangle

from fedscape.errors import FedscapeError
from fedscape.figures.style import log_steps, plain_log_ticks, scale_ends
from fedscape.tables.surfaces import SMALLEST_LOSS, lattice, loss_ceiling

# Cividis (perceptually uniform, alike for colour-blind readers, monotone in grey) with some white in it, so
# that the runs' lines stand out from all of it.
WHITE = 0.25
SURFACE_COLOURS = ListedColormap(
    (1 - WHITE) * matplotlib.colormaps["cividis"](np.linspace(0, 1, 256)) + WHITE, name="pale cividis"
)
BANDS = 32  # filled steps between the lowest and the highest loss
LINES, ALL_LINES = 12, 18  # numbered lines on the whole scale, at most; about as many with the thin ones
NOT_FINITE = "0.75"  # grey of models and ground without a finite loss
HATCHING = {"facecolor": NOT_FINITE, "edgecolor": "0.45", "hatch": "////", "linewidth": 0}
NO_BREAK = "\N{NO-BREAK SPACE}"
LABEL_LETTER, FEWEST_LETTERS = 0.07, 16  # inches of a letter in an axis label; letters of its shortest line
DISTANCE = "(L2 distance in parameter space)"
# The words of an axis, by the column `axes`: what spans the plane.
AXES = {
    "pca": "{nth} principal direction{explained}\n" + DISTANCE,
    "models": "{nth} direction between models\n" + DISTANCE,
    "random": "{nth} random direction\n(filter-normalised)",
    "eigenvectors": "{nth} Hessian eigenvector\n(eigenvalue {curvature:.3g})",
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

    highest: loss at which the scale ends; None: the highest loss, but at most `loss_ceiling`. Raises
    FedscapeError where there are models, but no finite loss.
    """
    losses = np.concatenate([surface["loss"], markers["loss"]]).astype(float)
    if not losses.size:
        return LogNorm(1, 10)  # all runs diverged: nothing is drawn on it
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        raise FedscapeError("no finite loss, neither on the surface nor of a model")
    low = max(losses.min(), SMALLEST_LOSS)
    if highest is None:
        highest = min(losses.max(), loss_ceiling(markers))
    return LogNorm(low, max(highest, 1.01 * low), clip=True)  # a flat surface needs a scale of some width


def draw_surface(axes: Axes, surface: pd.DataFrame, norm: LogNorm) -> None:
    """Filled bands and numbered lines of equal loss; grey hatching where the loss is not finite.

    surface: one row per grid point, columns i, j (along x and y), x, y, loss.
    """
    x, y, loss = lattice(surface)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal")
    if not np.isfinite(loss).all():
        axes.add_patch(Rectangle((x[0], y[0]), np.ptp(x), np.ptp(y), zorder=0, **HATCHING))
    low, high = scale_ends(norm)
    shown = np.ma.clip(np.ma.masked_invalid(loss.T), low, high)  # matplotlib wants a row per y
    bands = np.geomspace(low, high, BANDS + 1)
    axes.contourf(x, y, shown, bands, norm=norm, cmap=SURFACE_COLOURS)
    steps = log_steps(low, high, LINES)
    contour_lines(axes, (x, y, shown), between(steps, bands), norm, width=0.35, alpha=0.4)
    lines = contour_lines(axes, (x, y, shown), steps, norm, width=0.65, alpha=0.85)
    if lines is not None:
        axes.clabel(lines, fmt="%g", fontsize=6.5)


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
    axes: Axes, field: tuple, steps: np.ndarray, norm: LogNorm, width: float, alpha: float
) -> ContourSet | None:
    """Lines of equal loss, white on dark ground and black on light; None where the field crosses no step."""
    x, y, losses = field
    steps = steps[(steps > losses.min()) & (steps < losses.max())] if losses.count() else steps[:0]
    if not steps.size:
        return None
    tones = ["white" if norm(step) < 0.5 else "black" for step in steps]
    return axes.contour(x, y, losses, steps, colors=tones, linewidths=width, alpha=alpha)


def label_axes(axes: Axes, markers: pd.DataFrame) -> None:
    """Axis labels that say what spans the plane, in lines that fit beside the surface.

    axes: with the surface drawn, since its limits decide the lengths of the lines.
    markers: of one group; columns axes, explained_x, curvature_x, ...
    """
    first = markers.iloc[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    width = axes.get_window_extent().width / axes.figure.dpi  # before the layout, which changes it little
    lengths = {"x": width, "y": width * (top - bottom) / (right - left)}
    words = AXES.get(first["axes"], "{nth} direction")
    for axis, side, nth in ((axes.xaxis, "x", "first"), (axes.yaxis, "y", "second")):
        share = first[f"explained_{side}"]
        # No-break spaces: where the line is too long, it breaks before the share. No share of the variance:
        # most planes are not centred on the models' mean.
        explained = (
            ""
            if pd.isna(share)
            else f", {100 * share:.0f}{NO_BREAK}%{NO_BREAK}of squared{NO_BREAK}distance from{NO_BREAK}centre"
        )
        text = words.format(nth=nth, explained=explained, curvature=first[f"curvature_{side}"])
        letters = max(FEWEST_LETTERS, int(lengths[side] / LABEL_LETTER))
        axis.set_label_text(
            "\n".join(
                fill(line, letters, break_long_words=False, break_on_hyphens=False)
                for line in text.splitlines()
            )
        )


def say_diverged(axes: Axes, runs: Iterable[str]) -> None:
    """The panel of a group whose runs all diverged, with their names."""
    axes.set(xticks=[], yticks=[], facecolor="0.95", box_aspect=1)
    words = fill(", ".join(dict.fromkeys(runs)), 30, break_on_hyphens=False)
    axes.text(
        0.5, 0.5, f"all runs diverged\n({words})", transform=axes.transAxes, ha="center", va="center",
        color="0.35",
    )  # fmt: skip


def colour_bar(axes: Axes, surface: pd.DataFrame, norm: LogNorm) -> None:
    """The shared colour bar, which says how the losses were measured. surface: the rows of all panels."""
    above = np.isfinite(surface["loss"]) & (surface["loss"] > norm.vmax)
    precision = ", bf16" if "bf16" in set(surface["precision"]) else ""
    samples = f"{int(surface['samples'].max()):,} training samples{precision}"
    axes.figure.colorbar(
        ScalarMappable(norm, SURFACE_COLOURS),
        cax=axes,
        label=f"loss ({samples}){interpolation_note(surface)}",
        extend="max" if above.any() else "neither",
    )
    plain_log_ticks(axes.yaxis, most=LINES)


def interpolation_note(surface: pd.DataFrame) -> str:
    """A line that says which points were interpolated, and how well; empty where all were evaluated."""
    filled = surface["interpolated"].astype(str).str.lower().eq("true")
    if not filled.any():
        return ""
    points = surface.assign(filled=filled)
    size = int(max(points["i"].max(), points["j"].max()))
    # The CSV says of each point whether it was interpolated, not how coarse the evaluated lattice is.
    strides = range(2, size + 1)
    stride = next((step for step in strides if not _on_lattice(points, step)["filled"].any()), None)
    nth = "some points" if stride is None else f"every {stride}{ {2: 'nd', 3: 'rd'}.get(stride, 'th') } point"
    error = surface["interpolation_error"].max()
    accuracy = "" if pd.isna(error) else f" (up to {100 * error:.2g} % off where checked)"
    return f"\n{nth} evaluated,\nrest bicubic{accuracy}"


def _on_lattice(surface: pd.DataFrame, stride: int) -> pd.DataFrame:
    return surface[(surface["i"] % stride == 0) & (surface["j"] % stride == 0)]
