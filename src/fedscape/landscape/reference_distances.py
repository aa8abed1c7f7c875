"""How far global models are from a reference run: from its model of the same round, its path, and its end.

Distances are in all dimensions, so no choice of a plane matters. Squared distances between all models come
from inner products, float64, by blocks of columns, so the models are never in memory as a whole.
"""

from collections.abc import Sequence

import numpy as np

from fedscape.checkpoints.blocks import column_blocks
from fedscape.checkpoints.readers import Trajectory
from fedscape.columns.planes import REFERENCE_DISTANCES
from fedscape.landscape.material import Mark

ROUNDING = 1e-13
"""Share of the squared lengths below which a squared distance is rounding: float32 weights that differ at
all differ by more."""


def reference_distances(
    marks: Sequence[Mark], trajectories: Sequence[Trajectory], seeds: Sequence[object]
) -> list[dict[str, float]]:
    """DISTANCES of each marked global model, and NaN for others. seeds: of the runs, in their order.

    L2 in parameter space: to the reference's model after the same round (NaN if that is not kept), to the
    nearest point of its path (straight between kept rounds), so that a run which is merely slower has none,
    and to its last model. A run's reference is the first run of its seed: another seed starts elsewhere.
    """
    marked = sorted({mark.checkpoint.run for mark in marks if mark.role == "global"})
    references = {run: seeds.index(seeds[run]) for run in marked}
    legs = {
        reference: np.diag(_squared_distances(trajectories[reference], trajectories[reference]), k=1)
        for reference in set(references.values())
    }
    distances = {}
    for run, reference in references.items():
        by_round = _distances(trajectories[run], trajectories[reference], legs[reference])
        distances |= {(run, number): values for number, values in by_round.items()}
    nowhere = (np.nan,) * len(REFERENCE_DISTANCES)
    rows = [
        distances[mark.checkpoint.run, mark.checkpoint.round] if mark.role == "global" else nowhere
        for mark in marks
    ]
    return [dict(zip(REFERENCE_DISTANCES, row, strict=True)) for row in rows]


def _distances(
    run: Trajectory, reference: Trajectory, legs: np.ndarray
) -> dict[int, tuple[float, float, float]]:
    """By round. legs: squared lengths of the reference's path between its kept rounds."""
    between = _squared_distances(run, reference)
    to_path = np.sqrt(_to_path(between, legs))
    columns = {number: column for column, number in enumerate(reference.rounds)}
    return {
        number: (
            float(np.sqrt(row[columns[number]])) if number in columns else np.nan,
            float(nearest),
            float(np.sqrt(row[-1])),
        )
        for number, row, nearest in zip(run.rounds, between, to_path, strict=True)
    }


def _squared_distances(trajectory: Trajectory, other: Trajectory) -> np.ndarray:
    """Between all kept rounds of two runs: float64 [kept, other's kept]."""
    shape = len(trajectory.rounds), len(other.rounds)
    products = np.zeros(shape)
    lengths, other_lengths = np.zeros(shape[0]), np.zeros(shape[1])
    for start, stop in column_blocks(sum(shape), trajectory.layout.parameter_count):
        rows, columns = (run.columns(start, stop).astype(np.float64) for run in (trajectory, other))
        # Measured from a model nearby, so that little is lost in the difference of large numbers.
        centre = columns[-1].copy()
        rows -= centre
        columns -= centre
        products += rows @ columns.T
        lengths += np.square(rows).sum(axis=1)
        other_lengths += np.square(columns).sum(axis=1)
    sums = lengths[:, None] + other_lengths
    squared = sums - 2 * products
    return np.where(squared > ROUNDING * sums, squared, 0.0)


def _to_path(between: np.ndarray, legs: np.ndarray) -> np.ndarray:
    """Squared distance [n] of models to a path through corners.

    between: squared distances to the corners [n, corners]. legs: squared lengths between them [corners - 1].
    """
    nearest = between.min(axis=1)
    for leg, length in enumerate(legs):
        if length == 0:
            continue
        begin, end = between[:, leg], between[:, leg + 1]
        # Share of the leg at which its line comes nearest, by the law of cosines.
        share = (begin + length - end) / (2 * length)
        inside = (share > 0) & (share < 1)
        nearest = np.where(inside, np.minimum(nearest, begin - share**2 * length), nearest)
    return nearest.clip(min=0)
