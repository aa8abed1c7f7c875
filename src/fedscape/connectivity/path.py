"""Stage `path`: loss and error along straight lines between final models, and their barriers."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm import tqdm

from fedscape.connectivity.barriers import Barrier, barrier
from fedscape.connectivity.identity import other_end
from fedscape.federated.device import prepare_device
from fedscape.federated.trajectory import Trajectory
from fedscape.files import write_csv
from fedscape.models.evaluate import Evaluation, evaluate
from fedscape.models.subject import BatchNorm, Subject, check_layout, open_subject
from fedscape.resume import ResumeFolder

MEASURES = ("loss", "error")
PATH, BARRIERS = "path.csv", "barriers.csv"
POINT_COLUMNS = ("split", "t", *(field.name for field in dataclasses.fields(Evaluation)), "batch_norm")

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
    subject = open_subject(
        model, model_settings, dataset_folder, partition, samples, seed, prepare_device(device)
    )
    with ResumeFolder(resume, fingerprint, valid=partial(_continues, len(pairs))) as folder:
        if not folder.finished:
            curves = _curves(subject, pairs, trajectories, positions, batch_norm, folder)
            names = [
                {**runs[start], **other_end(runs[end]), "connectivity": connectivity, "group": group}
                for start, end in pairs
            ]
            _write_tables(folder.folder, names, curves, positions)
        folder.finish({PATH: out_path, BARRIERS: out_barriers})


def _continues(pairs: int, progress: dict) -> bool:
    """Whether a committed state holds lines of at most this number of pairs."""
    rows = [row for curve in progress["curves"] for row in curve]
    return len(progress["curves"]) <= pairs and all(row.keys() == set(POINT_COLUMNS) for row in rows)


def _curves(
    subject: Subject,
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
    for start, end in tqdm(pairs[len(curves) :], disable=None):
        if reason := folder.stop_requested():
            folder.stop(reason, f"path {len(curves)} of {len(pairs)}")
        opened = [Trajectory.open(trajectories[run]) for run in (start, end)]
        for run, trajectory in zip((start, end), opened, strict=True):
            check_layout(subject, trajectory.layout, trajectories[run])
        diverged = [trajectory for trajectory in opened if trajectory.diverged]
        if diverged:
            log.warning("%s: the run diverged and its path is left out", diverged[0].path)
        curves.append([] if diverged else list(_curve(subject, *opened, positions, batch_norm)))
        folder.commit({"done": len(curves), "curves": curves})
        log.info("path %d of %d", len(curves), len(pairs))
    return curves


def _write_tables(
    folder: Path, names: Sequence[dict], curves: Sequence[list[dict]], positions: np.ndarray
) -> None:
    """Both CSVs, of the pairs that have a curve; names: the identifying columns of each pair."""
    keys = [*names[0], "split"]
    rows, barriers = [], []
    for identity, points in zip(names, curves, strict=True):
        if not points:
            continue
        curve = pd.DataFrame(points)
        rows.append(pd.DataFrame(identity, index=curve.index).join(curve))
        for split, part in curve.groupby("split"):
            for measure in MEASURES:
                found = barrier(positions, part[measure].to_numpy())
                barriers.append({**identity, "split": split, "measure": measure, **dataclasses.asdict(found)})
    empty = pd.DataFrame(columns=[*names[0], *POINT_COLUMNS])
    write_csv(folder / PATH, pd.concat(rows) if rows else empty, sort_by=[*keys, "t"])
    columns = [*keys, "measure", *(field.name for field in dataclasses.fields(Barrier))]
    write_csv(folder / BARRIERS, pd.DataFrame(barriers, columns=columns), sort_by=[*keys, "measure"])


def path_positions(points: int) -> np.ndarray:
    """Positions [points] from 0 to 1 in equal steps; an odd number, so that 0.5 is one of them."""
    if points < 3 or points % 2 == 0:
        raise ValueError(f"points must be odd and >= 3, got {points}")
    return np.arange(points) / (points - 1)


def _curve(
    subject: Subject, start: Trajectory, end: Trajectory, positions: np.ndarray, batch_norm: BatchNorm
) -> Iterator[dict]:
    """Rows of both splits at every position between the two last kept models."""
    first = start.parameters(start.last).to(subject.device)
    last = end.parameters(end.last).to(subject.device)
    ends = start.buffers(start.last), end.buffers(end.last)
    for t in positions.tolist():
        # Both ends are exact: 0 times the other one is 0.
        buffers = _mixed(*ends, t) if batch_norm == "interpolate" else ends[0]
        tensors = subject.tensors((1 - t) * first + t * last, buffers, batch_norm)
        for split, data in (("train", subject.train), ("test", subject.test)):
            found = evaluate(subject.module, *tensors, data)
            yield {
                "split": split,
                "t": t,
                **dataclasses.asdict(found),
                "batch_norm": subject.policy(batch_norm),
            }


def _mixed(first: dict[str, Tensor], last: dict[str, Tensor], t: float) -> dict[str, Tensor]:
    """Float buffers a share t of the way from the first to the last; counters are the first one's."""
    return {
        name: (1 - t) * tensor + t * last[name] if tensor.is_floating_point() else tensor
        for name, tensor in first.items()
    }
