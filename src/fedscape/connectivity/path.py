"""Stage `path`: loss and error along straight lines between final models, and their barriers."""

import dataclasses
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fedscape.checkpoints.checkpoint import Checkpoint, Checkpoints
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns import connectivity as columns
from fedscape.connectivity.barriers import BARRIER_MEASURES, barrier
from fedscape.evaluation.evaluate import evaluate_samples, evaluation
from fedscape.evaluation.loss import LOSS, LOSS_SQUARED, WRONG
from fedscape.evaluation.problem import Problem, ProblemSpec, open_problem
from fedscape.jobs.resume import Resume, ResumeFolder, counts_to
from fedscape.jobs.step_rows import join_steps, write_step
from fedscape.settings.connectivity import PathSettings
from fedscape.settings.evaluation import BatchNorm

RISE_SE = {measure: f"{measure}_rise_se" for measure in BARRIER_MEASURES}
PATH_FILE, BARRIERS_FILE = "path.csv", "barriers.csv"

log = logging.getLogger(__name__)


def evaluate_paths(
    *,
    runs: Sequence[RunFiles],
    pairs: Sequence[tuple[int, int]],
    problem: ProblemSpec,
    settings: PathSettings,
    resume: Resume,
    out_path: str | Path,
    out_barriers: str | Path,
) -> None:
    """Write the measures along the line from each pair's first final to its second, and the barriers.

    Killed at any moment and called again, it resumes.

    pairs: (from, to) as places in `runs`. settings: batch_norm `keep` takes the running statistics of the
    first end all along the line, so its other end is not that end's model; `interpolate` mixes both ends' as
    it does their parameters. A pair with a run that diverged is left out, with a note.
    """
    positions = path_positions(settings.points)
    opened = open_problem(problem)
    checkpoints = Checkpoints.open(opened.module, runs)
    finals = checkpoints.finals()
    with ResumeFolder(resume, valid=counts_to(len(pairs))) as folder:
        for number, (start, end) in folder.steps(pairs, "path {} of {}"):
            diverged = [run for run in (start, end) if checkpoints.trajectories[run].diverged]
            if diverged:
                path = checkpoints.trajectories[diverged[0]].path
                log.warning("%s: the run diverged and its path is left out", path)
                continue
            ends = finals[start], finals[end]
            points = path_rows(opened, checkpoints, ends, positions, settings.batch_norm)
            names = {**runs[start].identity, **columns.other_end(runs[end].identity)}
            write_step(folder.folder, number, PATH_FILE, [{**names, **point} for point in points])
            barriers = [{**names, **row} for row in rise_rows(points, positions)]
            write_step(folder.folder, number, BARRIERS_FILE, barriers)
        if not folder.finished:
            join_steps(folder.folder, PATH_FILE, columns.PATH_CSV)
            join_steps(folder.folder, BARRIERS_FILE, columns.BARRIERS_CSV)
        folder.finish({PATH_FILE: out_path, BARRIERS_FILE: out_barriers})


def rise_rows(points: Sequence[dict[str, object]], positions: np.ndarray) -> list[dict[str, object]]:
    """Rows of barriers.csv about one line, by split and measure, without the names of its ends."""
    rows = []
    for split, part in pd.DataFrame(points).groupby("split"):
        for measure in BARRIER_MEASURES:
            highest = barrier(positions, part[measure].to_numpy())
            rise_se = part.set_index("t")[RISE_SE[measure]]
            rows.append(
                {
                    "split": split,
                    "measure": measure,
                    **dataclasses.asdict(highest),
                    "sup_se": rise_se[highest.argmax],
                    "midpoint_se": rise_se[0.5],
                }
            )
    return rows


def path_positions(points: int) -> np.ndarray:
    """Positions [points] from 0 to 1 in equal steps; an odd number, so that 0.5 is one of them."""
    if points < 3 or points % 2 == 0:
        raise ValueError(f"points must be odd and >= 3, got {points}")
    return np.arange(points) / (points - 1)


def path_rows(
    problem: Problem,
    checkpoints: Checkpoints,
    ends: tuple[Checkpoint, Checkpoint],
    positions: np.ndarray,
    batch_norm: BatchNorm,
) -> list[dict]:
    """Rows of path.csv without the names of the ends: every split at every position between two models."""
    first, last = (checkpoints.parameters(end).to(problem.device) for end in ends)
    first_buffers, last_buffers = map(checkpoints.buffers, ends)

    def model_at(t: float) -> tuple[Tensor, dict[str, Tensor]]:
        # Both ends are exact: 0 times the other one is 0.
        buffers = _mixed(first_buffers, last_buffers, t) if batch_norm == "interpolate" else first_buffers
        return (1 - t) * first + t * last, buffers

    return line_rows(problem, model_at, positions, batch_norm)


def line_rows(
    problem: Problem,
    model_at: Callable[[float], tuple[Tensor, dict[str, Tensor]]],
    positions: np.ndarray,
    batch_norm: BatchNorm,
) -> list[dict]:
    """Rows of every split at every position of a line through models, be it straight or bent.

    model_at: of a position from 0 to 1, the model's parameters [P] and buffers.
    """
    data = problem.splits
    rows: dict[str, list[dict]] = {split: [] for split in data}
    measured: dict[str, list[np.ndarray]] = {split: [] for split in data}
    for t in positions.tolist():
        tensors = problem.tensors(*model_at(t), batch_norm)
        for split, samples in data.items():
            values = evaluate_samples(problem.module, *tensors, samples)
            measured[split].append(_by_sample(values).cpu().numpy())
            means = dataclasses.asdict(evaluation(values.sum(dim=1), values.shape[1]))
            rows[split].append({"split": split, "t": t, **means, "batch_norm": problem.policy(batch_norm)})
    # The train loss is the mean over the partition's samples, of which all may be there; the test samples
    # stand for images that nobody has seen.
    for split in data:
        share = problem.share if split == "train" else 0.0
        errors = rise_errors(positions, np.array(measured[split]), share)
        for row, of_measures in zip(rows[split], errors.tolist(), strict=True):
            row |= dict(zip(RISE_SE.values(), of_measures, strict=True))
    return [row for split in data for row in rows[split]]


def _by_sample(values: Tensor) -> Tensor:
    """Loss and share of wrong answers of each sample [2, n]; NaN losses where only means are known."""
    losses = values[LOSS].where(~values[LOSS_SQUARED].isnan(), torch.nan)
    return torch.stack([losses, values[WRONG]])


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
