"""Stages `surface` and `surface_part`: loss and error on a grid over a plane."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedscape.columns.csvs import csv_text
from fedscape.columns.planes import POINT_MEASURES, SURFACE_CSV
from fedscape.evaluation.problem import ProblemSpec
from fedscape.files import write_text
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.landscape.evaluator import PlaneFiles, SurfaceEvaluator, open_evaluator
from fedscape.landscape.points import POINTS_FILE, Columns, Points, complete, save_points, saved_points
from fedscape.landscape.refine import fill_between, relative_errors
from fedscape.landscape.within import fill_within
from fedscape.settings.planes import SurfaceSettings

SURFACE_FILE = "surface.csv"
LOSS_COLUMN = POINT_MEASURES.index("loss")


def evaluate_surface(
    *,
    files: PlaneFiles,
    problem: ProblemSpec,
    settings: SurfaceSettings,
    identity: Mapping[str, Any],
    resume: Resume,
    out: str | Path,
    parts: Sequence[str | Path] = (),
) -> None:
    """Write `surface.csv`: one row per grid point (i, j) at (x, y), i along x, and per client if asked for.

    identity: of the group, `*` where its runs differ, with the names `plane` and `group`. resume: its folder
    holds the points evaluated so far while the job runs, and they stay beside `out` in `points.npz`; the
    fingerprint is of all that decides a point's measures, without WHICH_POINTS. parts: files of
    `evaluate_part`, whose points need not be evaluated here.

    Rows without a client are of all samples together. With `coarse` > 1 the loss between the nodes is
    filled (`refine.py`), with `error` that of most points (`within.py`): such a row says so and has no other
    measure. Its `interpolation_error` is the largest relative error of the loss among the points that were
    evaluated to check it, and no bound on that of others. Where all runs diverged the table has no rows.
    """
    evaluator = open_evaluator(files, problem, settings)
    with ResumeFolder(_one_way(resume, evaluator)) as folder:
        rows = pd.DataFrame(columns=SURFACE_CSV.columns)
        outputs = {SURFACE_FILE: out}
        if evaluator is not None:
            kept = Path(out).with_name(POINTS_FILE)
            points = _known(evaluator, folder, [kept, *parts])
            rows = surface_rows(
                evaluator, points, partial(complete, measure=evaluator.measure, resume=folder)
            )
            save_points(folder.folder / POINTS_FILE, points, folder.fingerprint)
            outputs = {POINTS_FILE: kept, SURFACE_FILE: out}
        table = rows.assign(**identity).loc[:, SURFACE_CSV.columns]
        # In the order in which they were made, because sorting puts an empty client last.
        write_text(folder.folder / SURFACE_FILE, csv_text(table))
        folder.finish(outputs)


def evaluate_part(
    *,
    files: PlaneFiles,
    problem: ProblemSpec,
    settings: SurfaceSettings,
    part: int,
    parts: int,
    kept: str | Path,
    resume: Resume,
    out: str | Path,
) -> None:
    """Write the points of every `parts`-th column of the first points, beginning with the `part`-th (from 1).

    These are evaluated whatever their losses; with `error` no more than the first round, since the others
    follow from it. The columns are interleaved, so that all parts go through expensive and cheap regions
    alike. kept: the `points.npz` of a surface that was made before, if there is one. resume: with the
    fingerprint of the surface (`evaluate_surface`), whose points these are.
    """
    evaluator = open_evaluator(files, problem, settings)
    with ResumeFolder(_one_way(resume, evaluator)) as folder:
        points: Points = {}
        if evaluator is not None:
            columns = evaluator.columns(evaluator.first_points())[part - 1 :: parts]
            known = _known(evaluator, folder, [kept])
            points = {node: known[node] for column in columns for node in column if node in known}
            complete(points, columns, evaluator.measure, folder)
        save_points(folder.folder / POINTS_FILE, points, folder.fingerprint)
        folder.finish({POINTS_FILE: out}, temporary=True)


def _one_way(resume: Resume, evaluator: SurfaceEvaluator | None) -> Resume:
    """As asked, with the way in which batches are evaluated in the fingerprint: points of two never mix."""
    if evaluator is None or not evaluator.compiled:
        return resume
    return replace(resume, fingerprint=f"{resume.fingerprint}-compiled")


def _known(evaluator: SurfaceEvaluator, folder: ResumeFolder, files: Sequence[str | Path]) -> Points:
    """The points of several files and those of the resume folder."""
    points: Points = {}
    for file in (*files, folder.folder / POINTS_FILE):
        points |= saved_points(file, folder.fingerprint, len(evaluator.sizes))
    return points


def surface_rows(
    evaluator: SurfaceEvaluator, points: Points, evaluate_missing: Callable[[Points, Columns], None]
) -> pd.DataFrame:
    """The rows of all points of a surface, without what names it.

    points: evaluated already; evaluate_missing: adds to them what they lack of some columns of places.
    """
    settings, shape = evaluator.settings, evaluator.shape
    values = np.full((*shape, len(evaluator.sizes), len(POINT_MEASURES)), np.nan)
    present = np.array(evaluator.sizes) > 0

    def losses(asked: np.ndarray) -> np.ndarray:
        evaluate_missing(points, evaluator.columns(asked))
        _put(values, evaluator, points, asked)
        return values[:, :, present, LOSS_COLUMN]

    if settings.error is None:
        filled = fill_between(settings.coarse, losses, shape, evaluator.seed)
    else:
        filled = fill_within(settings.error, losses, shape, evaluator.seed)
    errors = np.full(len(evaluator.sizes), np.nan)
    if filled.points.any():
        off = relative_errors(filled.losses, values[:, :, present, LOSS_COLUMN])[filled.checks]
        errors[present] = off.max(axis=0)
        for number, group in enumerate(np.flatnonzero(present)):
            values[filled.points, group, LOSS_COLUMN] = filled.losses[filled.points, number]
    return pd.concat(
        [
            _rows(evaluator, group, values, filled.points, errors[group])
            for group in range(len(evaluator.sizes))
        ],
        ignore_index=True,
    )


def _put(values: np.ndarray, evaluator: SurfaceEvaluator, points: Points, present: np.ndarray) -> None:
    """Write the measures of present points, bool [nx, ny], into values [nx, ny, groups, measures]."""
    for i, j in np.argwhere(present):
        values[i, j] = points[float(evaluator.xs[i]), float(evaluator.ys[j])]


def _rows(
    evaluator: SurfaceEvaluator, group: int, values: np.ndarray, interpolated: np.ndarray, error: float
) -> pd.DataFrame:
    """The rows of one group of samples: 0 for all of them, then client by client."""
    i, j = (index.ravel() for index in np.indices(interpolated.shape))
    filled = interpolated.ravel()
    measures = values[:, :, group].reshape(-1, len(POINT_MEASURES))
    frame = pd.DataFrame({"i": i, "j": j, "x": evaluator.xs[i], "y": evaluator.ys[j]})
    frame["client"] = pd.array([group - 1 if group else None] * len(frame), dtype="Int64")
    frame[POINT_MEASURES] = measures
    return frame.assign(
        samples=evaluator.sizes[group],
        batch_norm=evaluator.problem.policy(evaluator.settings.batch_norm),
        precision=evaluator.settings.precision,
        compiled=evaluator.compiled,
        interpolated=filled,
        interpolation_error=np.where(filled, error, np.nan),
        axes=evaluator.plane.axes,
    )
