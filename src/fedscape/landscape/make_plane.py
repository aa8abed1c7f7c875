"""Stage `plane`: a plane for a group of runs, and where their models lie on it."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fedscape.checkpoints.checkpoint import Checkpoints
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns import planes as columns
from fedscape.columns.csvs import write_csv
from fedscape.evaluation.problem import ProblemSpec, open_problem
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.landscape.bottom import Bottom, bottom_among
from fedscape.landscape.marker_table import marker_rows, marker_table
from fedscape.landscape.markers import PlaneLosses
from fedscape.landscape.material import Mark, Material
from fedscape.landscape.plane import Plane, open_plane, save_plane
from fedscape.plugins import Plugin
from fedscape.settings.evaluation import BatchNorm

PLANE_FILE, MARKERS_FILE = "plane.safetensors", "markers.csv"

DIVERGED_ROLE = "diverged"  # role of the one row of a run that is not on the plane

log = logging.getLogger(__name__)


def make_plane(
    *,
    kind: Plugin,
    problem: ProblemSpec,
    runs: Sequence[RunFiles],
    batch_norm: BatchNorm,
    resume: Resume,
    out_plane: str | Path,
    out_markers: str | Path,
) -> None:
    """Write the plane of a group of runs, and a CSV of its markers.

    Killed at any moment and called again, it resumes.

    kind: a plug-in `landscape/planes/<kind>.py`. problem: whose train samples the losses are measured on; its
    seed is that of what the kind draws, too. runs: the reference run first, their identities with the names
    `plane` and `group`, and with files of client models where the kind needs them. batch_norm: that of the
    surface; `landscape.markers` says what each marker has.
    A run that diverged is left out, with a note and a row of role `diverged` at its last kept round, without
    measures; if all have, the group has no plane.
    """
    plugin, settings = kind.load("landscape.planes")
    opened = open_problem(problem)
    checkpoints = Checkpoints.open(opened.module, runs)
    finite = [run for run, trajectory in enumerate(checkpoints.trajectories) if not trajectory.diverged]
    material = Material(opened, checkpoints.of_runs(finite), problem.seed)
    rows = _diverged(runs, checkpoints)
    marks = plugin.marks(material, settings) if finite else []
    with ResumeFolder(resume, valid=partial(_continues, len(marks))) as folder:
        if not folder.finished:
            plane, lowest = None, None
            if finite:
                plane = _laid(folder, lambda: plugin.plane(material, settings))
                losses = PlaneLosses(material, plane.to(opened.device), batch_norm)
                measures = _measures(folder, losses, marks)
                if plugin.CLIENTS:
                    lowest = _bottom(folder, losses, measures)
                identities = [runs[run].identity for run in finite]
                rows += marker_rows(marks, measures, identities, material.checkpoints)
            save_plane(folder.folder / PLANE_FILE, plane)
            evaluated = opened.policy(batch_norm), len(opened.train.labels)
            frame = marker_table(rows, plane, lowest, plugin.AXES, *evaluated)
            write_csv(folder.folder / MARKERS_FILE, frame, sort_by=columns.MARKERS_CSV.order)
        folder.finish({PLANE_FILE: out_plane, MARKERS_FILE: out_markers})


def _diverged(runs: Sequence[RunFiles], checkpoints: Checkpoints) -> list[dict]:
    """Rows of the runs that are not on the plane, each with a note in the log."""
    rows = []
    for run, trajectory in zip(runs, checkpoints.trajectories, strict=True):
        if trajectory.diverged:
            plane = run.identity["plane"]
            log.warning("%s: the run diverged and is left out of plane %s", trajectory.path, plane)
            rows.append({**run.identity, "round": trajectory.last, "role": DIVERGED_ROLE})
    if len(rows) == len(runs):
        plane, group = (runs[0].identity[column] for column in ("plane", "group"))
        log.warning("plane %s, group %s: all its runs diverged, so it has no plane", plane, group)
    return rows


def _continues(marks: int, progress: dict) -> bool:
    """Whether a committed state holds what at most this number of markers say, and losses of points."""
    measures, points = progress["measured"], progress["points"]
    values = [value for row in measures for value in row.values() if value is not None]
    return (
        len(measures) == progress["done"] <= marks
        and all(row.keys() == set(columns.MARKER_MEASURES) for row in measures)
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
        save_plane(folder.folder / PLANE_FILE, lay())
        folder.commit({"done": 0, "measured": [], "points": []}, [PLANE_FILE])
    plane = open_plane(folder.folder / PLANE_FILE)
    if plane is None:
        raise ValueError(f"{folder.folder / PLANE_FILE}: no plane, and only a group without one commits that")
    return plane


def _measures(folder: ResumeFolder, losses: PlaneLosses, marks: Sequence[Mark]) -> list[dict]:
    """What each marker says; what earlier processes measured is taken over, each model is committed."""
    values = folder.progress["measured"]
    for _, mark in folder.steps(marks, "marker {} of {}"):
        values.append(losses.of_marker(mark))
    return values


def _bottom(folder: ResumeFolder, losses: PlaneLosses, marked: Sequence[dict]) -> Bottom | None:
    """The bottom of the centre's basin; points that earlier processes evaluated are taken over.

    marked: what each marker says, its coordinates among it.
    """
    evaluated = folder.progress["points"]
    known = {(x, y): value for x, y, value in evaluated}

    def loss(x: float, y: float) -> float:
        if (x, y) not in known:
            known[x, y] = losses.at(x, y)
            evaluated.append([x, y, known[x, y]])
            folder.commit({**folder.progress, "points": evaluated}, adding=True)
            if reason := folder.stop_requested():
                folder.stop(reason, f"point {len(known)} of the search for the lowest one")
        return known[x, y]

    return bottom_among(loss, np.array([(values["x"], values["y"]) for values in marked]))
