"""A fine surface from a coarse one: which points have to be evaluated, and how the others are filled.

Every k-th point along both axes is a node. The others' losses come from a bicubic spline through the nodes,
in the logarithm, since a loss spans orders of magnitude on a landscape. A few of them are evaluated all the
same, to say how far off the fill is there. Shares of wrong answers, which rise in steps, are not filled.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import distance_transform_edt, maximum_filter

from fedscape.jobs.streams import stream

CHECKS = 24
"""Filled points that are evaluated: half at random, half where the fill is most likely to be wrong."""
CHECKED_SHARE = 0.25
"""Most of the filled points that are checked: on a small grid 24 would leave nothing to fill."""
DEGREE = 3


Losses = Callable[[np.ndarray], np.ndarray]
"""Of points asked for, bool [nx, ny]: evaluates them, and gives the losses of all asked for so far,
[nx, ny, groups], NaN elsewhere."""


@dataclass(frozen=True)
class Filled:
    """Which points of a grid are filled, and which were evaluated to check these; both bool [nx, ny].

    losses: as the fill has them, [nx, ny, groups], of these points at least.
    """

    points: np.ndarray
    checks: np.ndarray
    losses: np.ndarray


def fill_between(coarse: int, losses: Losses, shape: tuple[int, int], seed: int) -> Filled:
    """Evaluate every `coarse`-th point of a grid [nx, ny] along both axes, and the others' checks."""
    nodes = on_nodes(shape, coarse)
    at_nodes = losses(nodes)[::coarse, ::coarse]
    evaluated = nodes | beside_undefined(at_nodes, coarse)
    checks = check_points(~evaluated, at_nodes, coarse, seed)
    losses((evaluated | checks) & ~nodes)
    points = ~(evaluated | checks)
    if not points.any():
        return Filled(points, checks, losses(points))
    filled = [filled_losses(group, coarse) for group in np.moveaxis(at_nodes, 2, 0)]
    return Filled(points, checks, np.stack(filled, axis=2))


def on_nodes(shape: tuple[int, int], coarse: int) -> np.ndarray:
    """Which points of a grid [nx, ny] are nodes, bool [nx, ny]."""
    nodes = np.zeros(shape, dtype=bool)
    nodes[::coarse, ::coarse] = True
    return nodes


def beside_undefined(losses: np.ndarray, coarse: int) -> np.ndarray:
    """Points in cells, edges included, of which a corner has no finite logarithm of a loss; bool [nx, ny].

    losses: at the nodes, [mx, my, groups].
    """
    undefined = np.zeros([(count - 1) * coarse + 1 for count in losses.shape[:2]], dtype=np.uint8)
    undefined[::coarse, ::coarse] = ~np.isfinite(logarithms(losses)).all(axis=2)
    # A cell reaches `coarse` points from each of its corners.
    return maximum_filter(undefined, size=2 * coarse + 1, mode="constant").astype(bool)


def check_points(filled: np.ndarray, losses: np.ndarray, coarse: int, seed: int) -> np.ndarray:
    """Which of the points `filled`, bool [nx, ny], are evaluated to check the fill; bool [nx, ny].

    losses: at the nodes, [mx, my, groups]. Half are those where a bilinear fill differs most from the bicubic
    one, group by group in turn: on a sharp valley's floor, which random points would miss and the fill with
    them. The others are drawn by the stream `checks` of the seed.
    """
    candidates = np.flatnonzero(filled)
    number = min(CHECKS, int(np.ceil(CHECKED_SHARE * len(candidates))))
    doubts = [
        np.abs(_spline(group, coarse) - _spline(group, coarse, degree=1))[filled]
        for group in np.moveaxis(logarithms(losses), 2, 0)
    ]
    doubtful = candidates[np.argsort(-np.array(doubts), axis=1, kind="stable").T.ravel()]
    first = list(dict.fromkeys(doubtful))[: number // 2]
    drawn = stream(seed, "checks").permutation(np.setdiff1d(candidates, first))
    checks = np.zeros(filled.shape, dtype=bool)
    checks.flat[[*first, *drawn[: number - len(first)]]] = True
    return checks


def filled_losses(losses: np.ndarray, coarse: int) -> np.ndarray:
    """Losses [nx, ny] of all points from those at the nodes [mx, my], bicubic in their logarithm."""
    return np.exp(_spline(logarithms(losses), coarse))


def relative_errors(filled: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Relative errors of filled losses, both of one shape; infinite where the truth is not finite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.abs(filled - true) / true
    return np.where(np.isfinite(relative), relative, np.inf)


def logarithms(losses: np.ndarray) -> np.ndarray:
    """Logarithms of losses; not finite where a loss is not, or is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(losses)


def _spline(values: np.ndarray, coarse: int, degree: int = DEGREE) -> np.ndarray:
    """A spline through the nodes [mx, my] at all points [nx, ny]; of lower degree where nodes are few."""
    undefined = ~np.isfinite(values)
    if undefined.all():
        return np.full([(count - 1) * coarse + 1 for count in values.shape], np.nan)
    # A spline takes numbers only. No point is filled beside these, so that they count far off and little.
    nearest = np.asarray(distance_transform_edt(undefined, return_distances=False, return_indices=True))
    x, y = (np.arange(count) * coarse for count in values.shape)
    degrees = [min(degree, count - 1) for count in values.shape]
    spline = RectBivariateSpline(x, y, values[tuple(nearest)], kx=degrees[0], ky=degrees[1], s=0)
    return spline(np.arange(x[-1] + 1), np.arange(y[-1] + 1))
