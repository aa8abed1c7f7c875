"""An inset in a surface's panel: enlarged, where models lie so close that their markers hide each other."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from fedscape.figures.style import HALO
from fedscape.figures.surface import Limits

SIDE = 0.34  # of the inset, as a share of the panel's
MAGNIFICATION = 1.8, 40.0  # below, an inset shows nothing new; above, its models are as good as one
AROUND = 0.3  # room on each side of the models in an inset, as a share of their extent
CORNERS = np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])


def draw_inset(
    axes: Axes, points: np.ndarray, size: float, taken: np.ndarray, draw: Callable[[Axes, Limits], None]
) -> Axes | None:
    """An inset around the largest crowd of points, in the freest corner; None where there is no crowd.

    points: [n, 2], the models that should be told apart. size: of their markers, in points: closer ones are a
    crowd. taken: [m, 2], points that the inset should not hide. draw: draws the panel's
    content between these limits of x and y.
    """
    low, high = (np.array(ends) for ends in zip(axes.get_xlim(), axes.get_ylim(), strict=True))
    box = axes.get_window_extent()
    inches = np.array([box.width, box.height]) / axes.figure.dpi
    shares = (np.unique(points, axis=0) - low) / (high - low)
    members = crowd(shares * inches * 72, size)
    window = _window(shares[members]) if len(members) > 1 else None
    if window is None:
        return None
    centre, half = window
    spots = [corner * (1 - SIDE) for corner in CORNERS]
    hidden = np.vstack([(taken - low) / (high - low), centre])
    free = max(spots, key=lambda spot: _room(spot, hidden))
    if _room(free, hidden) <= 0:
        return None
    inset = axes.inset_axes((float(free[0]), float(free[1]), SIDE, SIDE), zorder=8)
    first, last = (low + end * (high - low) for end in (centre - half, centre + half))
    draw(inset, ((first[0], last[0]), (first[1], last[1])))
    inset.set(xticks=[], yticks=[], aspect="auto")
    for side in inset.spines.values():
        side.set(visible=True, linewidth=0.8)
    zoom = SIDE / (2 * half)
    words = f"\N{MULTIPLICATION SIGN}{zoom:.{0 if zoom >= 10 else 1}f}"
    inset.text(
        0.97, 0.03, words, transform=inset.transAxes, ha="right", path_effects=HALO, zorder=9,
    )  # fmt: skip
    # No lines between the two: among lines of equal loss and trajectories they would be read as more of them.
    window_of_panel = (first[0], first[1], last[0] - first[0], last[1] - first[1])
    axes.indicate_inset(window_of_panel, edgecolor="black", alpha=0.8, linewidth=0.8)
    return inset


def crowd(points: np.ndarray, reach: float) -> np.ndarray:
    """The positions of the largest group of points [n, 2] of which each has another one within reach."""
    groups = np.arange(len(points))
    near = np.linalg.norm(points[:, None] - points[None], axis=2) <= reach
    for _ in points:  # the smallest label spreads to all neighbours
        groups = np.array([groups[row].min() for row in near])
    counts = np.bincount(groups, minlength=len(points))
    return np.flatnonzero(groups == counts.argmax())


def _window(members: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Centre and half side of what an inset shows, as shares of the panel; None if hardly enlarged."""
    first, last = members.min(axis=0), members.max(axis=0)
    half = float(np.max(last - first)) * (0.5 + AROUND)
    least, most = MAGNIFICATION
    return ((first + last) / 2, half) if 2 * half * least <= SIDE <= 2 * half * most else None


def _room(spot: np.ndarray, points: np.ndarray) -> float:
    """How far the nearest point lies from an inset at this spot; 0 where it would be hidden."""
    return float(np.linalg.norm(np.maximum(np.abs(points - spot - SIDE / 2) - SIDE / 2, 0), axis=1).min())
