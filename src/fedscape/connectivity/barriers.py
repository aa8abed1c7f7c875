"""Barriers of a measure along a path, from its values alone."""

from dataclasses import dataclass

import numpy as np

BARRIER_MEASURES = ("loss", "error")
"""Measures whose barriers are computed."""


@dataclass(frozen=True)
class Barrier:
    """How far a measure rises above the straight line (chord) between its values at the two ends.

    sup: the largest rise over all points, at path position argmax; at least 0, because the ends rise by 0
    (Entezari et al., The Role of Permutation Invariance in Linear Mode Connectivity, 2022, definition 2.2).
    midpoint: the rise in the middle, negative where the middle lies below the chord. highest: the largest
    value, ends included.
    """

    sup: float
    argmax: float
    midpoint: float
    highest: float
    from_value: float
    to_value: float


def barrier(positions: np.ndarray, values: np.ndarray) -> Barrier:
    """Barrier of `values` [n] (loss or error, say) at ascending `positions` [n] from 0 to 1, 0.5 among them.

    A value that is NaN or infinite makes what depends on it so. Of equal rises the first one counts.
    """
    middle = np.flatnonzero(positions == 0.5)
    if positions[0] != 0 or positions[-1] != 1 or len(middle) != 1:
        raise ValueError("a path needs points at 0, 0.5 and 1")
    with np.errstate(invalid="ignore"):
        rises = values - ((1 - positions) * values[0] + positions * values[-1])
    # The ends are on the chord by definition, whatever the rounding of the line above.
    rises[[0, -1]] = np.where(np.isfinite(values[[0, -1]]), 0.0, np.nan)
    highest = int(np.argmax(rises))
    return Barrier(
        sup=float(rises[highest]),
        argmax=float(positions[highest]),
        midpoint=float(rises[middle[0]]),
        highest=float(np.max(values)),
        from_value=float(values[0]),
        to_value=float(values[-1]),
    )
