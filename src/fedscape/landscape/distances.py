"""How far global models are from a reference run: from its model of the same round, its path, and its end.

Distances are in all dimensions, so no choice of a plane matters. Squared distances between all models come
from inner products, float64, by blocks of columns, so the models are never in memory as a whole.
"""

from collections.abc import Sequence

import numpy as np

from fedscape.federated.trajectory import Trajectory
from fedscape.landscape.material import Mark
from fedscape.models.blocks import column_blocks

DISTANCES = ("distance_to_reference", "distance_to_reference_path", "distance_to_reference_end")
"""L2 in parameter space: to the reference's model after the same round (NaN if that is not kept), to the
nearest point of its path (straight between kept rounds), so that a run which is merely slower has none, and
to its last model."""
ROUNDING = 1e-13
"""Share of the squared lengths below which a squared distance is rounding: float32 weights that differ at
all differ by more."""


def reference_distances(
    marks: Sequence[Mark], trajectories: Sequence[Trajectory], seeds: Sequence[int]
) -> list[dict[str, float]]:
    """DISTANCES of each marked global model, and NaN for others. seeds: of the runs, in their order.

    A run's reference is the first run of its seed: another seed starts elsewhere.
    """
    found = {}
    for place in sorted({mark.run for mark in marks if mark.role == "global"}):
        reference = seeds.index(seeds[place])
        by_round = _distances(trajectories[place], trajectories[reference], place == reference)
        found |= {(place, number): values for number, values in by_round.items()}
    nowhere = (np.nan,) * len(DISTANCES)
    return [
        dict(
            zip(
                DISTANCES,
                found[mark.run, mark.round] if mark.role == "global" else nowhere,
                strict=True,
            )
        )
        for mark in marks
    ]


def _distances(run: Trajectory, reference: Trajectory, same: bool) -> dict[int, tuple[float, float, float]]:
    """By round; same: the run is the reference itself."""
    between = _squared_distances(run, reference)
    steps = np.diag(_squared_distances(reference, reference), k=1)
    to_path = np.sqrt(_to_path(between, steps))
    places = {number: place for place, number in enumerate(reference.rounds)}
    return {
        number: (
            0.0 if same else float(np.sqrt(row[places[number]])) if number in places else np.nan,
            0.0 if same else float(nearest),
            float(np.sqrt(row[-1])),
        )
        for number, row, nearest in zip(run.rounds, between, to_path, strict=True)
    }


def _squared_distances(one: Trajectory, other: Trajectory) -> np.ndarray:
    """Between all kept rounds of two runs: float64 [kept, other's kept]."""
    shape = len(one.rounds), len(other.rounds)
    products = np.zeros(shape)
    lengths, other_lengths = np.zeros(shape[0]), np.zeros(shape[1])
    for start, stop in column_blocks(sum(shape), one.layout.parameter_count):
        rows, columns = (run.columns(start, stop).astype(np.float64) for run in (one, other))
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


def _to_path(between: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Squared distance [n] of models to a path through corners.

    between: squared distances to the corners [n, corners]. steps: squared lengths of its legs [corners - 1].
    """
    nearest = between.min(axis=1)
    for leg, length in enumerate(steps):
        if length == 0:
            continue
        begin, end = between[:, leg], between[:, leg + 1]
        # Share of the leg at which its line comes nearest, by the law of cosines.
        share = (begin + length - end) / (2 * length)
        inside = (share > 0) & (share < 1)
        nearest = np.where(inside, np.minimum(nearest, begin - share**2 * length), nearest)
    return nearest.clip(min=0)
