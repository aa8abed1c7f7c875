"""Models on a loss surface: each a marker filled with its true loss."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fedscape.figures.medium import medium
from fedscape.figures.panels import text_inches
from fedscape.figures.style import HALO, RC, Look, halo_line, series_handle
from fedscape.figures.surface import HATCHING, NOT_FINITE, SURFACE_COLOURS

RIM = 1.4  # points
START, END = "h", "*"  # markers of a trajectory's ends; no run has these
ROUND, FINAL, FIRST, LAST = 5.5, 11, 10, 14  # sizes in points: an inner round, a single final model, the ends
OF_SEED = 0.5  # size of a seed's marker, as a share of the mean's
NAME_HEIGHT, NAME_OFFSET = 0.14, 0.1  # inches: of a name on a screen; from its marker
# Where a name may stand beside its marker, in units of x and y, the first ones preferred.
NAME_SIDES = np.array([(1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1)])
ALIGNED = {"ha": {1: "left", 0: "center", -1: "right"}, "va": {1: "bottom", 0: "center", -1: "top"}}
EMPTY = {"color": "none", "markerfacecolor": "white", "markeredgecolor": "black", "markeredgewidth": RIM}


def draw_models(
    axes: Axes, markers: pd.DataFrame, styles: Mapping[str, Look], norm: LogNorm, marked: int
) -> None:
    """The models of each run: a line along its rounds, or one marker, which `name_models` names.

    markers: columns run, seed, round, x, y, loss. marked: rounds of a line that get a marker. A run with
    several seeds is drawn as their mean by round, large, and as each seed, small. A mean is not a model: its
    fill is the mean of the seeds' losses.
    """
    for run, rows in markers.groupby("run", sort=False):
        look = styles[str(run)]
        seeds = [seed_rows.sort_values("round") for _, seed_rows in rows.groupby("seed")]
        main = _main(rows)
        for seed_rows in seeds if len(seeds) > 1 else ():
            _draw_seed(axes, seed_rows, main, look, norm)
        points, fills = points_of(main), true_fills(main["loss"], norm)
        if len(main) == 1:
            draw_points(axes, points, fills, look.marker, FINAL, look.colour, zorder=5)
        elif len(main):
            axes.plot(
                *points.T, color=look.colour, linestyle=look.line, path_effects=halo_line(1.6), zorder=3
            )
            _arrow(axes, points, look.colour)
            inner = np.unique(np.linspace(0, len(main) - 1, marked).round().astype(int))[1:-1]
            draw_points(
                axes, points[inner], [fills[i] for i in inner], look.marker, ROUND, look.colour, zorder=4
            )
            draw_points(axes, points[:1], fills[:1], START, FIRST, "black", zorder=5)
            draw_points(axes, points[-1:], fills[-1:], END, LAST, look.colour, zorder=6)


def name_models(axes: Axes, markers: pd.DataFrame) -> None:
    """The names of runs with one marker beside these. Call it when all else is drawn (`name_points`)."""
    runs = {
        str(run): (points_of(_main(rows)), points_of(rows))
        for run, rows in markers.groupby("run", sort=False)
    }
    names = {run: np.vstack([main, models]) for run, (main, models) in runs.items() if len(main) == 1}
    if names:
        name_points(axes, names, np.vstack([points for both in runs.values() for points in both]))


def points_of(markers: pd.DataFrame) -> np.ndarray:
    """Where models are drawn: x and y [n, 2]."""
    return markers[["x", "y"]].to_numpy(float)


def _main(rows: pd.DataFrame) -> pd.DataFrame:
    """The models that stand for a run, by round: its own, or the means of its seeds."""
    return rows.sort_values("round") if rows["seed"].nunique() == 1 else mean_of_seeds(rows)


def mean_of_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean x, y and loss of the rounds that all seeds have; the loss is missing where a seed's is."""
    seeds = rows["seed"].nunique()
    rounds = rows.groupby("round")
    mean = rounds[["x", "y"]].mean()
    mean["loss"] = rounds["loss"].apply(lambda losses: losses.mean(skipna=False))
    return mean[rounds["seed"].nunique() == seeds].reset_index()


def _draw_seed(axes: Axes, rows: pd.DataFrame, mean: pd.DataFrame, look: Look, norm: LogNorm) -> None:
    """One of several seeds: a thin line with a small end, or a small marker joined to the mean."""
    points, fills = points_of(rows), true_fills(rows["loss"], norm)
    alone = len(rows) == 1
    line = np.concatenate([points_of(mean)[-1:], points]) if alone else points
    axes.plot(
        *line.T, color=look.colour, linestyle="-", linewidth=0.7,
        path_effects=halo_line(0.7), zorder=2.8,
    )  # fmt: skip
    marker, size = (look.marker, FINAL) if alone else (END, LAST)
    draw_points(axes, points[-1:], fills[-1:], marker, OF_SEED * size, look.colour, zorder=4, rim_width=0.9)


def legend_handles(
    markers: pd.DataFrame, surface: pd.DataFrame, styles: Mapping[str, Look], titles: Mapping[object, str]
) -> list[Artist]:
    """The runs, the meaning of the markers, the hatching where it is used, and the runs that diverged."""
    alive = markers[markers["role"] != "diverged"]
    along = bool(alive.duplicated(["group", "run", "seed"]).any())
    handles: list[Artist] = [
        series_handle(run, styles[run], line=along) for run in dict.fromkeys(alive["run"])
    ]
    if along:
        handles.append(Line2D([], [], marker=START, markersize=9, label="start", **EMPTY))
        handles.append(Line2D([], [], marker=END, markersize=12, label="last round", **EMPTY))
    if (alive.groupby(["group", "run"])["seed"].nunique() > 1).any():
        words = "thin: one seed each, thick: mean" if along else "small: one seed each, large: mean"
        handles.append(Line2D([], [], color="black", linewidth=2 if along else 0.7, label=words))
    return handles + common_handles(surface, diverged_names(markers, titles))


def common_handles(surface: pd.DataFrame, diverged: Sequence[str]) -> list[Artist]:
    """The legend that all figures of surfaces share: fills, hatching, runs left out."""
    handles: list[Artist] = []
    losses = surface["loss"].astype(float)
    if len(losses):
        filled = {**EMPTY, "markerfacecolor": SURFACE_COLOURS(0.6)}
        handles.append(
            Line2D([], [], marker="o", markersize=7, label="fill: the model's true loss", **filled)
        )
    if not np.isfinite(losses).all():
        handles.append(Patch(label="loss not finite", **HATCHING))
    for name in diverged:
        handles.append(
            Line2D([], [], color="black", linestyle="none", marker="x", label=f"{name}: diverged, left out")
        )
    return handles


def diverged_names(markers: pd.DataFrame, titles: Mapping[object, str]) -> list[str]:
    """The runs that diverged in panels with other runs, with panel and seed where these tell runs apart."""
    diverged = markers["role"] == "diverged"
    alive = set(markers.loc[~diverged, "group"])  # a panel without a run says so itself
    names = []
    for row in markers[diverged & markers["group"].isin(alive)].to_dict("records"):
        rows = markers[(markers["group"] == row["group"]) & (markers["run"] == row["run"])]
        seed = f"seed {row['seed']}" if rows["seed"].nunique() > 1 else ""
        names.append(", ".join(word for word in (titles[row["group"]], row["run"], seed) if word))
    return names


def true_fills(losses: pd.Series, norm: LogNorm) -> list:
    """The colour of each true loss on the scale of the surface, grey where it is not finite."""
    return [SURFACE_COLOURS(norm(loss)) if np.isfinite(loss) else to_rgba(NOT_FINITE) for loss in losses]


def draw_points(
    axes: Axes, points: np.ndarray, fills: list, marker: str, size: float, rim: str, zorder: float,
    rim_width: float = RIM,
) -> None:  # fmt: skip
    """Markers of `size` points, filled with their true loss, with a rim of their run's colour, on white."""
    area, rim_width = (size * medium().marker) ** 2, rim_width * medium().marker
    axes.scatter(
        *points.T,
        s=area,
        marker=marker,
        c="white",
        edgecolors="white",
        linewidths=rim_width + 2,
        zorder=zorder,
    )
    axes.scatter(
        *points.T, s=area, marker=marker, c=fills, edgecolors=rim, linewidths=rim_width, zorder=zorder
    )


def name_points(
    axes: Axes, names: Mapping[str, np.ndarray], taken: np.ndarray, colour: str = "black"
) -> list[str]:
    """Names beside their markers, each on the side that is farthest from markers and other names.

    Returns those that have a place. Call it when the figure has been laid out and all else is drawn. A name
    that on every side would hide what is written already or an inset, leave the axes, or stand nearer to
    another's marker than to its own is left to the legend; so is one whose marker lies outside.
    names: the markers [n, 2] of each, beside whose first it stands; one at the same place is its own. taken:
    [m, 2], all markers.
    """
    low, high = (np.array(ends) for ends in zip(axes.get_xlim(), axes.get_ylim(), strict=True))
    box, dpi = axes.get_window_extent(), axes.figure.dpi
    size = np.array([box.width, box.height]) / dpi  # in inches
    inches = size / (high - low)  # of a unit
    written: list[str] = []
    placed: list[tuple[np.ndarray, np.ndarray]] = []  # centres and half sizes of names, and of what is there
    for artist in (*axes.child_axes, *axes.texts):
        there = artist.get_window_extent()
        centre = np.array([there.x0 + there.x1, there.y0 + there.y1]) / 2 - (box.x0, box.y0)
        placed.append((centre / dpi, np.array([there.width, there.height]) / 2 / dpi))
    # From a name to its own marker; `_gaps` knows none above NAME_HEIGHT.
    own_gaps = np.minimum(NAME_OFFSET * np.linalg.norm(NAME_SIDES, axis=1), NAME_HEIGHT)
    for name, own in names.items():
        anchor = (own[0] - low) * inches
        half = np.array([text_inches(name, RC["font.size"]), NAME_HEIGHT * medium().letter]) / 2
        centres = anchor + NAME_SIDES * (NAME_OFFSET + half)
        is_own = (taken[:, None] == own).all(axis=2).any(axis=1)
        to_names = _gaps(centres, half, placed)
        to_own, to_others = (
            _gaps(centres, half, [((point - low) * inches, np.zeros(2)) for point in points])
            for points in (own[1:], taken[~is_own])
        )
        inside = ((half <= centres) & (centres + half <= size)).all(axis=1)
        fits = inside & (to_names > 0) & (to_others >= own_gaps)
        if not (fits.any() and (anchor >= 0).all() and (anchor <= size).all()):
            continue
        best = np.argmax(np.where(fits, np.min([to_names, to_own, to_others], axis=0), -np.inf))
        placed.append((centres[best], half))
        written.append(name)
        side = NAME_SIDES[best]
        axes.annotate(
            name, (own[0][0], own[0][1]), side * NAME_OFFSET * 72, textcoords="offset points",
            path_effects=HALO, zorder=7, color=colour,
            ha=ALIGNED["ha"][int(side[0])], va=ALIGNED["va"][int(side[1])],
        )  # fmt: skip
    return written


def _gaps(
    centres: np.ndarray, half: np.ndarray, boxes: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Inches from boxes at these centres to the nearest of others, NAME_HEIGHT at most; 0 where they meet."""
    gaps = [
        np.linalg.norm(np.maximum(np.abs(centres - centre) - half - size, 0), axis=1)
        for centre, size in boxes
    ]
    return np.min([*gaps, np.full(len(centres), NAME_HEIGHT)], axis=0)


def _arrow(axes: Axes, points: np.ndarray, colour: str) -> None:
    """An arrow head halfway along the line, by length, in the direction of the run."""
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    if lengths[-1] == 0:
        return

    def along(share: float) -> tuple[float, float]:
        """The point at this share of the line's length."""
        x, y = (float(np.interp(share * lengths[-1], lengths, coordinates)) for coordinates in points.T)
        return x, y

    head = {"arrowstyle": "-|>", "color": colour, "mutation_scale": 14, "path_effects": halo_line(1.0)}
    axes.annotate("", along(0.5), along(0.45), arrowprops=head, zorder=4.5)
