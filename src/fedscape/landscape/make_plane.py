"""Stage `plane`: a plane for a group of runs, and where their models lie on it."""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from fedscape.checkpoints.checkpoint import Checkpoints
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns import planes as columns
from fedscape.columns.csvs import write_csv
from fedscape.evaluation.problem import ProblemSpec, open_problem
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.landscape.bottom import Bottom, Loss, bottom
from fedscape.landscape.markers import loss_at, measured
from fedscape.landscape.material import Mark, Material
from fedscape.landscape.plane import Plane, open_plane, save_plane
from fedscape.landscape.reference_distances import reference_distances
from fedscape.plugins import Plugin, load
from fedscape.settings.evaluation import BatchNorm

PLANE, MARKERS = "plane.safetensors", "markers.csv"

FIRST_STEP = 0.05
"""Of the lattice on which the bottom is looked for: share of the larger side of the markers' box."""
DIVERGED = "diverged"  # role of the one row of a run that is not on the plane

log = logging.getLogger(__name__)


def make_plane(
    *,
    kind: str,
    settings: dict,
    model: str,
    model_settings: dict,
    dataset_folder: str | Path,
    partition: str | Path,
    trajectories: Sequence[str | Path],
    clients: Sequence[str | Path],
    runs: Sequence[dict],
    plane: str,
    group: str,
    samples: int | None,
    seed: int,
    batch_norm: BatchNorm,
    device: str,
    resume: str | Path,
    fingerprint: str,
    out_plane: str | Path,
    out_markers: str | Path,
) -> None:
    """Write the plane `landscape/planes/<kind>.py` of a group of runs, and a CSV of its markers.

    Killed at any moment and called again, it resumes.

    trajectories, runs: files and identities in the same order, the reference run first; clients: the runs'
    files of client models in that order, or none where the kind does not need them. partition: whose train
    samples the losses are measured on; samples, seed: at most this many of them, chosen by the seed. plane,
    group: names for the CSV. batch_norm: that of the surface; `landscape.markers` says what each marker has.
    fingerprint: digest of all that the job depends on; a folder `resume` of another one is emptied.
    A run that diverged is left out, with a note and a row of role `diverged` at its last kept round, without
    measures; if all have, the group has no plane.
    """
    plugin = load("landscape.planes", kind)
    chosen = plugin.Settings(**settings)
    spec = ProblemSpec(Plugin(model, model_settings), dataset_folder, partition, samples, seed, device)
    problem = open_problem(spec)
    checkpoints = Checkpoints.open(
        problem.module, [RunFiles({}, *files) for files in zip_longest(trajectories, clients)]
    )
    finite = [run for run, opened in enumerate(checkpoints.trajectories) if not opened.diverged]
    material = Material(problem, checkpoints.of_runs(finite), seed)
    named = {"plane": plane, "group": group}
    rows = []
    for run, trajectory in zip(runs, checkpoints.trajectories, strict=True):
        if trajectory.diverged:
            log.warning("%s: the run diverged and is left out of plane %s", trajectory.path, plane)
            rows.append({**run, **named, "round": trajectory.last, "role": DIVERGED})
    if not finite:
        log.warning("plane %s, group %s: all its runs diverged, so it has no plane", plane, group)
    marks = plugin.marks(material, chosen) if finite else []
    with ResumeFolder(Resume(resume, fingerprint), valid=partial(_continues, len(marks))) as folder:
        if not folder.finished:
            made, found = None, None
            if finite:
                made = _laid(folder, lambda: plugin.plane(material, chosen))
                there = made.to(problem.device)
                values = _measures(folder, material, there, batch_norm, marks)
                if plugin.CLIENTS:
                    found = _bottom(folder, partial(loss_at, material, there, batch_norm), values)
                distances = reference_distances(
                    marks, material.checkpoints.trajectories, [runs[run]["seed"] for run in finite]
                )
                for mark, measures, far in zip(marks, values, distances, strict=True):
                    run = runs[finite[mark.checkpoint.run]]
                    rows.append({**run, **named, **_named(mark), **measures, **far})
            save_plane(folder.folder / PLANE, made)
            frame = pd.DataFrame(rows, columns=columns.MARKERS_CSV.columns)
            numbers = dict.fromkeys([*columns.MARKER_MEASURES, *columns.DISTANCES], float)
            frame = frame.astype({"client": "Int64", "point": "Int64", **numbers})
            frame[columns.ABOUT_PLANE] = [
                *_pair(made and made.explained),
                *_pair(made and made.curvature),
                *(dataclasses.astuple(found) if found else [None] * len(dataclasses.fields(Bottom))),
                plugin.AXES,
                problem.policy(batch_norm),
                len(problem.train.labels),
            ]
            write_csv(folder.folder / MARKERS, frame, sort_by=columns.MARKERS_CSV.order)
        folder.finish({PLANE: out_plane, MARKERS: out_markers})


def _named(mark: Mark) -> dict[str, object]:
    """The columns MODEL of a marker."""
    model = mark.checkpoint
    return {"round": model.round, "role": mark.role, "client": model.client, "point": model.epoch}


def _continues(marks: int, progress: dict) -> bool:
    """Whether a committed state holds what at most this number of markers say, and losses of points."""
    measures, points = progress["measured"], progress["points"]
    values = [value for one in measures for value in one.values() if value is not None]
    return (
        len(measures) <= marks
        and all(one.keys() == set(columns.MARKER_MEASURES) for one in measures)
        and all(len(point) == len(("x", "y", "loss")) for point in points)
        and all(
            isinstance(value, (int, float)) for value in (*values, *(v for point in points for v in point))
        )
    )


def _laid(folder: ResumeFolder, lay: Callable[[], Plane]) -> Plane:
    """The plane, as the resume folder has it; laid first where it has none.

    It is read back even then: whoever resumes from the folder must compute with the same tensors.
    """
    if "done" not in folder.progress:
        save_plane(folder.folder / PLANE, lay())
        folder.commit({"done": 0, "measured": [], "points": []}, [PLANE])
    return open_plane(folder.folder / PLANE)


def _measures(
    folder: ResumeFolder, material: Material, plane: Plane, batch_norm: BatchNorm, marks: Sequence[Mark]
) -> list[dict]:
    """What each marker says; what earlier processes measured is taken over, each model is committed."""
    values = folder.progress["measured"]
    if values:
        log.info("continuing after marker %d of %d", len(values), len(marks))
    with tqdm(total=len(marks), initial=len(values), disable=None) as bar:
        for found in measured(material, plane, batch_norm, marks[len(values) :]):
            values.append(found)
            folder.commit({**folder.progress, "done": len(values), "measured": values}, adding=True)
            bar.update()
            if len(values) < len(marks) and (reason := folder.stop_requested()):
                folder.stop(reason, f"marker {len(values)} of {len(marks)}")
    return values


def _bottom(folder: ResumeFolder, loss: Loss, marked: Sequence[dict]) -> Bottom | None:
    """The bottom of the centre's basin; points that earlier processes evaluated are taken over.

    marked: what each marker says, its place among it.
    """
    evaluated = folder.progress["points"]
    known = {(x, y): value for x, y, value in evaluated}

    def counted(x: float, y: float) -> float:
        if (x, y) not in known:
            known[x, y] = loss(x, y)
            evaluated.append([x, y, known[x, y]])
            folder.commit({**folder.progress, "points": evaluated}, adding=True)
            if reason := folder.stop_requested():
                folder.stop(reason, f"point {len(known)} of the search for the lowest one")
        return known[x, y]

    sides = np.ptp([(one["x"], one["y"]) for one in marked], axis=0)
    return bottom(counted, FIRST_STEP * float(sides.max())) if sides.any() else None


def _pair(values: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return (None, None) if values is None else values
