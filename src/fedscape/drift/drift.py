"""Stage `drift`: how far the global model moves."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from fedscape.checkpoints.blocks import column_blocks
from fedscape.checkpoints.readers import Trajectory
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns.csvs import write_csv
from fedscape.columns.drift import DRIFT_CSV


@dataclass(frozen=True)
class Movement:
    """L2 distances of one kept round's global model from the round before, the first and the last kept, and
    from a reference run's model after the same round."""

    round: int
    step_norm: float
    distance_start: float
    distance_end: float
    distance_to_reference: float


def evaluate_drift(*, runs: Sequence[RunFiles], out: str | Path) -> None:
    """Write per run and kept round the distances of the global model.

    Distances are L2 norms of parameters: from the round before (`step_norm`, empty if it was not kept), from
    the first and from the last kept round, and from the first run of the same seed after the same round
    (empty where that has not kept it, or has another network).
    """
    references: dict[object, str | Path] = {}
    for run in runs:
        references.setdefault(run.identity["seed"], run.trajectory)
    rows = [
        {**run.identity, **asdict(movement)}
        for run in tqdm(runs, disable=None)
        for movement in movements(
            Trajectory.open(run.trajectory), Trajectory.open(references[run.identity["seed"]])
        )
    ]
    write_csv(out, pd.DataFrame(rows, columns=DRIFT_CSV.columns), DRIFT_CSV.order)


def movements(trajectory: Trajectory, reference: Trajectory) -> list[Movement]:
    """The movement of every kept round; sums in float64."""
    kept, columns = len(trajectory.rounds), trajectory.layout.parameter_count
    shared, of_reference = _shared_rounds(trajectory, reference)
    squares = np.zeros((4, kept))
    for start, stop in column_blocks(kept, columns):
        rows = trajectory.columns(start, stop).astype(np.float64)
        before, references = np.vstack([rows[:1], rows[:-1]]), np.full_like(rows, np.nan)
        if shared:
            references[shared] = reference.columns(start, stop)[of_reference]
        for measure, origin in enumerate((before, rows[:1], rows[-1:], references)):
            squares[measure] += np.square(rows - origin).sum(axis=1)
    norms = np.sqrt(squares)
    norms[0, 0] = np.nan
    norms[0, 1:][np.diff(trajectory.rounds) > 1] = np.nan  # the round before was not kept
    return [Movement(*values) for values in zip(trajectory.rounds, *norms.tolist(), strict=True)]


def _shared_rounds(trajectory: Trajectory, reference: Trajectory) -> tuple[list[int], list[int]]:
    """Where the rounds that both have kept lie in either; there are none of another network."""
    if trajectory.layout != reference.layout:
        return [], []
    shared = [number for number in trajectory.rounds if number in reference.rounds]
    return [trajectory.rounds.index(n) for n in shared], [reference.rounds.index(n) for n in shared]
