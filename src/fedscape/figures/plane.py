"""A loss surface and the models on it, in one pair of axes."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from fedscape.errors import FedscapeError
from fedscape.figures.style import HALO, Look, halo_line, log_steps, series_handle

# Cividis (perceptually uniform, alike for colour-blind readers, monotone in grey) with some white in it, so
# that the runs' lines stand out from all of it.
WHITE = 0.2
SURFACE_COLOURS = ListedColormap(
    (1 - WHITE) * matplotlib.colormaps["cividis"](np.linspace(0, 1, 256)) + WHITE, name="pale cividis"
)
BANDS = 32  # filled steps between the lowest and the highest loss
SMALLEST_LOSS = 1e-6  # where a loss reaches zero, its logarithm ends here
NOT_FINITE = "0.75"  # grey of models and ground without a finite loss
_HATCHING = {"facecolor": NOT_FINITE, "edgecolor": "0.45", "hatch": "////", "linewidth": 0}
_RIM = 1.4  # points
START, END = "h", "*"  # markers of a trajectory's ends; no run has these


def loss_scale(surface: pd.DataFrame, markers: pd.DataFrame, highest: float | None) -> LogNorm:
    """One logarithmic colour scale for all surfaces and for the markers' true losses.

    highest: loss at which the scale ends. None: the highest there is, but no more than ten times that of the
    worst model (or of a loss of 1): far from all models a loss can be astronomic, and its colours would be
    all that one sees.
    """
    losses = np.concatenate([surface["loss"], markers["loss"]]).astype(float)
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        raise FedscapeError("no finite loss, neither on the surface nor of a model")
    low = max(losses.min(), SMALLEST_LOSS)
    if highest is None:
        models = markers["loss"].to_numpy(dtype=float)
        highest = min(losses.max(), 10 * np.max(models[np.isfinite(models)], initial=1.0))
    return LogNorm(low, max(highest, 1.01 * low), clip=True)  # a flat surface needs a scale of some width


def draw_surface(axes: Axes, surface: pd.DataFrame, norm: LogNorm, directions: str) -> None:
    """Filled bands and labelled lines of equal loss; grey hatching where the loss is not finite.

    surface: one row per grid point, columns i, j (along x and y), x, y, loss.
    """
    x, y = (surface.groupby(index)[axis].first().to_numpy() for index, axis in (("i", "x"), ("j", "y")))
    # matplotlib wants [ny, nx]: a row per y.
    loss = surface.pivot(index="j", columns="i", values="loss").to_numpy(dtype=float)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal")
    unit = "(L2 distance in parameter space)"
    axes.set(xlabel=f"first {directions}\n{unit}", ylabel=f"second {directions}\n{unit}")
    if not np.isfinite(loss).all():
        axes.add_patch(Rectangle((x[0], y[0]), np.ptp(x), np.ptp(y), zorder=0, **_HATCHING))
    shown = np.ma.masked_invalid(loss)
    shown = np.ma.clip(shown, norm.vmin, norm.vmax)
    axes.contourf(x, y, shown, np.geomspace(norm.vmin, norm.vmax, BANDS + 1), norm=norm, cmap=SURFACE_COLOURS)
    steps = log_steps(norm.vmin, norm.vmax, most=12)
    steps = steps[(steps > shown.min()) & (steps < shown.max())]
    if steps.size:
        tones = ["white" if norm(step) < 0.5 else "black" for step in steps]
        lines = axes.contour(x, y, shown, steps, colors=tones, linewidths=0.5, alpha=0.6)
        axes.clabel(lines, fmt="%g", fontsize=6.5)


def draw_markers(
    axes: Axes, markers: pd.DataFrame, styles: Mapping[str, Look], norm: LogNorm, marked: int
) -> None:
    """The models of each run, each filled with its true loss.

    markers: columns run, round, x, y, loss. A run of one row is a marker with its name beside it, a run of
    several a line along its rounds, of which `marked` get a marker.
    """
    middle = markers[["x", "y"]].mean().to_numpy()
    for run, rows in markers.groupby("run", sort=False):
        rows, look = rows.sort_values("round"), styles[run]
        fills = [_fill(loss, norm) for loss in rows["loss"]]
        points = rows[["x", "y"]].to_numpy()
        if len(rows) == 1:
            _point(axes, points, fills, look.marker, 11, look.colour, zorder=5)
            _name(axes, run, points[0], middle)
            continue
        axes.plot(*points.T, color=look.colour, linestyle=look.line, path_effects=halo_line(1.6), zorder=3)
        _arrow(axes, points, look.colour)
        inner = np.unique(np.linspace(0, len(rows) - 1, marked).round().astype(int))[1:-1]
        _point(axes, points[inner], [fills[i] for i in inner], look.marker, 5.5, look.colour, zorder=4)
        _point(axes, points[:1], fills[:1], START, 10, "black", zorder=5)
        _point(axes, points[-1:], fills[-1:], END, 14, look.colour, zorder=6)


def legend_handles(markers: pd.DataFrame, surface: pd.DataFrame, styles: Mapping[str, Look]) -> list[Artist]:
    """The runs, what the markers mean, and the hatching where there is any."""
    empty = {"color": "none", "markerfacecolor": "white", "markeredgecolor": "black", "markeredgewidth": _RIM}
    along = bool(markers.duplicated(["group", "run"]).any())
    handles: list[Artist] = [series_handle(run, look, line=along) for run, look in styles.items()]
    if along:
        handles.append(Line2D([], [], marker=START, markersize=9, label="start", **empty))
        handles.append(Line2D([], [], marker=END, markersize=12, label="last round", **empty))
    filled = {**empty, "markerfacecolor": SURFACE_COLOURS(0.6)}
    handles.append(Line2D([], [], marker="o", markersize=7, label="fill: the model's true loss", **filled))
    losses = surface["loss"].astype(float)
    if not np.isfinite(losses).all():
        handles.append(Patch(label="loss not finite", **_HATCHING))
    return handles


def _fill(loss: float, norm: LogNorm) -> object:
    return SURFACE_COLOURS(norm(loss)) if np.isfinite(loss) else to_rgba(NOT_FINITE)


def _point(
    axes: Axes, points: np.ndarray, fills: list, marker: str, size: float, rim: str, zorder: float
) -> None:
    """Markers of `size` points, filled with their true loss, in a rim of their run's colour, on white."""
    area = size**2
    axes.scatter(
        *points.T, s=area, marker=marker, c="white", edgecolors="white", linewidths=_RIM + 2, zorder=zorder
    )
    axes.scatter(*points.T, s=area, marker=marker, c=fills, edgecolors=rim, linewidths=_RIM, zorder=zorder)


def _arrow(axes: Axes, points: np.ndarray, colour: str) -> None:
    """An arrow head halfway along the line, by length, that says where the run is going."""
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    if lengths[-1] == 0:
        return
    tail, head = (
        [np.interp(share * lengths[-1], lengths, coordinates) for coordinates in points.T]
        for share in (0.45, 0.5)
    )
    arrow = axes.annotate(
        "", head, tail, arrowprops={"arrowstyle": "-|>", "color": colour, "mutation_scale": 14}, zorder=4.5
    )
    arrow.arrow_patch.set_path_effects(halo_line(1.0))


def _name(axes: Axes, run: str, point: np.ndarray, middle: np.ndarray) -> None:
    """The run's name on the side of its marker that faces away from the other models."""
    away = point - middle
    right, up = away[0] >= 0, away[1] >= 0
    axes.annotate(
        run, point, (8 if right else -8, 7 if up else -7), textcoords="offset points", path_effects=HALO,
        zorder=7, ha="left" if right else "right", va="bottom" if up else "top",
    )  # fmt: skip
