"""Stage `path`: loss and error along straight lines between final models, and their barriers."""

import dataclasses
import logging
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm import tqdm

from fedscape.checkpoints.checkpoint import Checkpoint, Checkpoints
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns import connectivity as columns
from fedscape.columns.csvs import write_csv
from fedscape.connectivity.barriers import barrier
from fedscape.evaluation.evaluate import LOSS, WRONG, evaluate_samples, evaluation
from fedscape.evaluation.problem import Problem, ProblemSpec, open_problem
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.plugins import Plugin
from fedscape.settings.evaluation import BatchNorm

MEASURES = ("loss", "error")
RISE_SE = {measure: f"{measure}_rise_se" for measure in MEASURES}
PATH, BARRIERS = "path.csv", "barriers.csv"
POINT_COLUMNS = [*columns.PATH_CSV.row_keys, *columns.PATH_CSV.measures]
"""What is said of a point, beside which pair it is of."""

log = logging.getLogger(__name__)


def evaluate_paths(
    *,
    pairs: Sequence[tuple[int, int]],
    runs: Sequence[dict],
    trajectories: Sequence[str | Path],
    points: int,
    model: str,
    model_settings: dict,
    dataset_folder: str | Path,
    partition: str | Path,
    connectivity: str,
    group: str,
    samples: int | None,
    seed: int,
    batch_norm: BatchNorm,
    device: str,
    resume: str | Path,
    fingerprint: str,
    out_path: str | Path,
    out_barriers: str | Path,
) -> None:
    """Write the measures along the line from each pair's first final to its second, and the barriers.

    Killed at any moment and called again, it resumes.

    pairs: (from, to) as places in `runs` (identities) and `trajectories` (files). points: on each line, odd,
    with both ends and the middle. partition: whose train and test samples are used; samples, seed: at most so
    many train samples, chosen by the seed. connectivity, group: names for the CSVs. batch_norm: `keep` takes
    the running statistics of the first end all along the line, so its other end is not that end's model;
    `interpolate` mixes both ends' as it does their parameters.
    fingerprint: digest of all that the job depends on; a folder `resume` of another one is emptied.
    A pair with a run that diverged is left out, with a note.
    """
    positions = path_positions(points)
    spec = ProblemSpec(Plugin(model, model_settings), dataset_folder, partition, samples, seed, device)
    problem = open_problem(spec)
    with ResumeFolder(Resume(resume, fingerprint), valid=partial(_continues, len(pairs))) as folder:
        if not folder.finished:
            curves = _curves(problem, pairs, trajectories, positions, batch_norm, folder)
            names = [
                {**runs[start], **columns.other_end(runs[end]), "connectivity": connectivity, "group": group}
                for start, end in pairs
            ]
            _write_tables(folder.folder, names, curves, positions)
        folder.finish({PATH: out_path, BARRIERS: out_barriers})


def _continues(pairs: int, progress: dict) -> bool:
    """Whether a committed state holds lines of at most this number of pairs."""
    rows = [row for curve in progress["curves"] for row in curve]
    return len(progress["curves"]) <= pairs and all(row.keys() == set(POINT_COLUMNS) for row in rows)


def _curves(
    problem: Problem,
    pairs: Sequence[tuple[int, int]],
    trajectories: Sequence[str | Path],
    positions: np.ndarray,
    batch_norm: BatchNorm,
    folder: ResumeFolder,
) -> list[list[dict]]:
    """The rows of each pair's line, none where a run diverged; those of earlier processes are taken over."""
    curves = folder.progress.get("curves", [])
    if curves:
        log.info("continuing after path %d of %d", len(curves), len(pairs))
    checkpoints = Checkpoints.open(problem.module, [RunFiles({}, path) for path in trajectories])
    finals = checkpoints.finals()
    for start, end in tqdm(pairs[len(curves) :], disable=None):
        if reason := folder.stop_requested():
            folder.stop(reason, f"path {len(curves)} of {len(pairs)}")
        diverged = [run for run in (start, end) if checkpoints.trajectories[run].diverged]
        if diverged:
            path = checkpoints.trajectories[diverged[0]].path
            log.warning("%s: the run diverged and its path is left out", path)
            curves.append([])
        else:
            ends = finals[start], finals[end]
            curves.append(_curve(problem, checkpoints, ends, positions, batch_norm))
        folder.commit({"done": len(curves), "curves": curves})
        log.info("path %d of %d", len(curves), len(pairs))
    return curves


def _write_tables(
    folder: Path, names: Sequence[dict], curves: Sequence[list[dict]], positions: np.ndarray
) -> None:
    """Both CSVs, of the pairs that have a curve; names: the identifying columns of each pair."""
    rows, barriers = [], []
    for identity, points in zip(names, curves, strict=True):
        if not points:
            continue
        curve = pd.DataFrame(points, columns=POINT_COLUMNS)
        rows.append(pd.DataFrame(identity, index=curve.index).join(curve))
        for split, part in curve.groupby("split"):
            for measure in MEASURES:
                found = barrier(positions, part[measure].to_numpy())
                rise_se = part.set_index("t")[RISE_SE[measure]]
                barriers.append(
                    {
                        **identity,
                        "split": split,
                        "measure": measure,
                        **dataclasses.asdict(found),
                        "sup_se": rise_se[found.argmax],
                        "midpoint_se": rise_se[0.5],
                    }
                )
    empty = pd.DataFrame(columns=columns.PATH_CSV.columns)
    write_csv(folder / PATH, pd.concat(rows) if rows else empty, columns.PATH_CSV.order)
    table = pd.DataFrame(barriers, columns=columns.BARRIERS_CSV.columns)
    write_csv(folder / BARRIERS, table, columns.BARRIERS_CSV.order)


def path_positions(points: int) -> np.ndarray:
    """Positions [points] from 0 to 1 in equal steps; an odd number, so that 0.5 is one of them."""
    if points < 3 or points % 2 == 0:
        raise ValueError(f"points must be odd and >= 3, got {points}")
    return np.arange(points) / (points - 1)


def _curve(
    problem: Problem,
    checkpoints: Checkpoints,
    ends: tuple[Checkpoint, Checkpoint],
    positions: np.ndarray,
    batch_norm: BatchNorm,
) -> list[dict]:
    """Rows of both splits at every position between the two models."""
    first, last = (checkpoints.parameters(end).to(problem.device) for end in ends)
    first_buffers, last_buffers = map(checkpoints.buffers, ends)
    data = {"train": problem.train, "test": problem.test}
    rows: dict[str, list[dict]] = {split: [] for split in data}
    measured: dict[str, list[np.ndarray]] = {split: [] for split in data}
    for t in positions.tolist():
        # Both ends are exact: 0 times the other one is 0.
        buffers = _mixed(first_buffers, last_buffers, t) if batch_norm == "interpolate" else first_buffers
        tensors = problem.tensors((1 - t) * first + t * last, buffers, batch_norm)
        for split, samples in data.items():
            found = evaluate_samples(problem.module, *tensors, samples)
            measured[split].append(found[[LOSS, WRONG]].cpu().numpy())
            means = dataclasses.asdict(evaluation(found.sum(dim=1), found.shape[1]))
            rows[split].append({"split": split, "t": t, **means, "batch_norm": problem.policy(batch_norm)})
    # The train loss is the mean over the partition's samples, of which all may be there; the test samples
    # stand for images that nobody has seen.
    for split, share in (("train", problem.share), ("test", 0.0)):
        errors = rise_errors(positions, np.array(measured[split]), share)
        for row, of_measures in zip(rows[split], errors.tolist(), strict=True):
            row |= dict(zip(RISE_SE.values(), of_measures, strict=True))
    return [*rows["train"], *rows["test"]]


def rise_errors(positions: np.ndarray, values: np.ndarray, share: float) -> np.ndarray:
    """Standard errors [points, measures] of mean rises above the chord; values: [points, measures, n].

    Of each sample's own rise, since what it has at the ends and in between goes together. share: n as a
    share of the samples whose mean is meant; drawn without replacement, all of them leave no error. NaN
    where a value is not finite, and for a single sample of several.
    """
    t, n = positions[:, None, None], values.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings(action="ignore"):
        rises = values - ((1 - t) * values[0] + t * values[-1])
        rises[[0, -1]] = np.where(np.isfinite(values[[0, -1]]), 0.0, np.nan)
        spread = rises.std(axis=-1, ddof=1) if share < 1 else 0 * rises.sum(axis=-1)
        return spread * np.sqrt((1 - share) / n)


def _mixed(first: dict[str, Tensor], last: dict[str, Tensor], t: float) -> dict[str, Tensor]:
    """Float buffers a share t of the way from the first to the last; counters are the first one's."""
    return {
        name: (1 - t) * tensor + t * last[name] if tensor.is_floating_point() else tensor
        for name, tensor in first.items()
    }
