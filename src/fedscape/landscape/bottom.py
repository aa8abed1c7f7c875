"""The bottom of the basin that a model lies in: the lowest point of the loss, finer than any grid.

Downhill on a lattice of 5 x 5 points that follows the lowest of them, and then, on ever narrower lattices,
the lowest point of a polynomial of degree 4 through them: exact for a quadratic and for a quartic bowl,
wherever its bottom lies between the points. Losses alone are used, no gradients, so any batch-norm policy
will do. A network's loss has kinks, which a wide lattice smooths, and rounding, which a narrow one feels:
how far the last two estimates lie apart says what is left of both.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

Loss = Callable[[float, float], float]
"""Of a point (x, y) of the plane."""
REACH = 2  # points on each side of the middle
DEGREE = 4
NARROWER = 4.0  # factor between one lattice and the next
MOST_LATTICES = 6
MOST_MOVES = 50  # of the first lattice, by its reach at most: beyond, the basin counts as open
CLOSE = 5e-5  # distance between the last two estimates, as a share of that from the start: four digits
FIRST_STEP = 0.05
"""Of the lattice on which the bottom is looked for: share of the larger side of the markers' box."""
STEPS = np.arange(-REACH, REACH + 1)
POWERS = [(p, q) for p in range(DEGREE + 1) for q in range(DEGREE + 1 - p)]


@dataclass(frozen=True)
class Bottom:
    """Where the loss is lowest, what it is there, and how far apart the last two estimates lie."""

    x: float
    y: float
    loss: float
    shift: float


def bottom_among(loss: Loss, places: np.ndarray) -> Bottom | None:
    """The bottom downhill from (0, 0), by steps that suit markers at `places` [n, 2].

    None where they coincide, and as in `bottom`.
    """
    sides = np.ptp(places, axis=0)
    return bottom(loss, FIRST_STEP * float(sides.max())) if sides.any() else None


def bottom(loss: Loss, step: float) -> Bottom | None:
    """The bottom downhill from (0, 0); None where the loss keeps falling, or is not finite there.

    step: between two points of the first lattice. The estimate that moved least from the one before counts.
    """
    middle, best = np.zeros(2), None
    for lattice in range(MOST_LATTICES):
        lowest = _settled(loss, middle, step / NARROWER**lattice)
        if lowest is None:
            break
        shift = float(np.linalg.norm(lowest - middle))
        middle = lowest
        if lattice and (best is None or shift < best.shift):
            x, y = lowest.tolist()
            best = Bottom(x, y, loss(x, y), shift)
        if best is not None and best.shift <= CLOSE * np.hypot(best.x, best.y):
            break
    return best


def _settled(loss: Loss, middle: np.ndarray, step: float) -> np.ndarray | None:
    """The polynomial's lowest point on the lattice whose lowest point is inside; None if there is none."""
    known: dict[tuple[int, int], float] = {}
    offset = np.zeros(2, dtype=int)  # of the lattice's middle, in steps from `middle`
    for _ in range(MOST_MOVES):
        values = np.empty((len(STEPS), len(STEPS)))
        for i, j in np.ndindex(values.shape):
            point = (int(offset[0] + STEPS[i]), int(offset[1] + STEPS[j]))
            if point not in known:
                x, y = (middle + step * np.array(point)).tolist()
                known[point] = loss(x, y)
            values[i, j] = known[point]
        values = np.where(np.isfinite(values), values, np.inf)
        if not np.isfinite(values).any():
            return None
        # Of equal points the nearest to the middle: a flat loss is no slope.
        lowest = min(np.ndindex(values.shape), key=lambda at: (values[at], np.abs(STEPS[list(at)]).max()))
        towards = STEPS[list(lowest)]
        if np.abs(towards).max() < REACH:
            return middle + step * (offset + _lowest_of_polynomial(values, towards))
        offset += towards
    return None


def _lowest_of_polynomial(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Where the polynomial through values [5, 5] is lowest near `start`, in steps from the lattice's middle.

    `start` itself where a value is not finite, or the polynomial has no bottom within the lattice.
    """
    if not np.isfinite(values).all() or np.ptp(values) == 0:
        return start.astype(float)
    u, v = (steps.ravel() for steps in np.meshgrid(STEPS, STEPS, indexing="ij"))
    terms = np.stack([u**p * v**q for p, q in POWERS], axis=1)
    scaled = (values.ravel() - values.min()) / np.ptp(values)
    coefficients = np.zeros((DEGREE + 1, DEGREE + 1))
    coefficients[tuple(zip(*POWERS, strict=True))] = np.linalg.lstsq(terms, scaled)[0]

    def derivative(at: np.ndarray, *orders: int) -> float:
        differentiated = coefficients
        for axis, order in enumerate(orders):
            differentiated = np.polynomial.polynomial.polyder(differentiated, order, axis=axis)
        return float(np.polynomial.polynomial.polyval2d(at[0], at[1], differentiated))

    lowest = minimize(
        lambda at: derivative(at, 0, 0),
        start.astype(float),
        jac=lambda at: np.array([derivative(at, 1, 0), derivative(at, 0, 1)]),
        hess=lambda at: np.array(
            [[derivative(at, 2, 0), derivative(at, 1, 1)], [derivative(at, 1, 1), derivative(at, 0, 2)]]
        ),
        method="trust-exact",
        options={"gtol": np.finfo(float).eps, "maxiter": 100},
    ).x
    return lowest if np.abs(lowest).max() <= REACH else start.astype(float)
