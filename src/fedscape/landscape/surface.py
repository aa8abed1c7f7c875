"""Stages `surface` and `surface_part`: loss and error on a grid over a plane."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fedscape.columns.csvs import csv_text
from fedscape.columns.planes import POINT_MEASURES, SURFACE_CSV
from fedscape.files import write_text
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.landscape.evaluator import SurfaceEvaluator, open_evaluator
from fedscape.landscape.points import POINTS, Points, complete, save_points, saved_points
from fedscape.landscape.refine import beside_undefined, checked, filled_losses, on_nodes, worst

TABLE = "surface.csv"
LOSS = POINT_MEASURES.index("loss")


def evaluate_surface(
    *,
    identity: dict,
    plane: str,
    group: str,
    parts: Sequence[str | Path] = (),
    resume_folder: str | Path,
    fingerprint: str,
    out: str | Path,
    **evaluator,
) -> None:
    """Write `surface.csv`: one row per grid point (i, j) at (x, y), i along x, and per client if asked for.

    evaluator: the keywords of `open_evaluator`. identity: of the group, `*` where its runs differ; plane,
    group: names for the CSV. parts: files of `evaluate_part`, whose points need not be evaluated here.
    resume_folder: holds the points made so far while the job runs; they stay beside `out` in `points.npz`.
    fingerprint: of all that decides a point's measures, without the grid, the box and the parts.

    Rows without a client are of all samples together. With `coarse` > 1 the loss between the nodes is
    filled (`refine.py`): such a row says so and has no other measure. Its `interpolation_error` is the
    largest relative error of the loss among the points that were evaluated to check it, and no bound on that
    of others. Where all runs diverged the table has no rows.
    """
    opened = open_evaluator(**evaluator)
    with ResumeFolder(Resume(resume_folder, fingerprint)) as resume:
        rows = pd.DataFrame(columns=SURFACE_CSV.columns)
        outputs = {TABLE: out}
        if opened is not None:
            kept = Path(out).with_name(POINTS)
            points = _known(opened, fingerprint, [kept, *parts, resume.folder / POINTS])
            complete(points, opened.columns(), opened.measure, resume)
            rows = _refined(opened, points, resume).assign(plane=plane, group=group)
            save_points(resume.folder / POINTS, points, fingerprint)
            outputs = {POINTS: kept, TABLE: out}
        table = rows.assign(**identity)[SURFACE_CSV.columns]
        # In the order in which they were made, because sorting puts an empty client last.
        write_text(resume.folder / TABLE, csv_text(table))
        resume.finish(outputs)


def evaluate_part(
    *,
    part: int,
    parts: int,
    kept: str | Path,
    resume_folder: str | Path,
    fingerprint: str,
    out: str | Path,
    **evaluator,
) -> None:
    """Write the points of every `parts`-th column of nodes, beginning with the `part`-th (from 1).

    The columns are interleaved, so that all parts go through the dear and the cheap regions alike. kept: the
    `points.npz` of a surface that was made before, if there is one. Others as in `evaluate_surface`, with
    which the fingerprint is shared.
    """
    opened = open_evaluator(**evaluator)
    with ResumeFolder(Resume(resume_folder, fingerprint)) as resume:
        points: Points = {}
        if opened is not None:
            columns = opened.columns()[part - 1 :: parts]
            known = _known(opened, fingerprint, [kept, resume.folder / POINTS])
            points = {place: known[place] for column in columns for place in column if place in known}
            complete(points, columns, opened.measure, resume)
        save_points(resume.folder / POINTS, points, fingerprint)
        resume.finish({POINTS: out}, temporary=True)


def _known(evaluator: SurfaceEvaluator, fingerprint: str, files: Sequence[str | Path]) -> Points:
    """The points of several files together."""
    points: Points = {}
    for file in files:
        points |= saved_points(file, fingerprint, len(evaluator.sizes))
    return points


def _refined(evaluator: SurfaceEvaluator, points: Points, resume: ResumeFolder) -> pd.DataFrame:
    """The rows of all points, from the nodes and further points that are evaluated here."""
    coarse, shape = evaluator.coarse, (len(evaluator.xs), len(evaluator.ys))
    nodes = on_nodes(shape, coarse)
    values = np.full((*shape, len(evaluator.sizes), len(POINT_MEASURES)), np.nan)
    _put(values, evaluator, points, nodes)
    at_nodes = values[::coarse, ::coarse]
    present = np.array(evaluator.sizes) > 0
    node_losses = at_nodes[:, :, present, LOSS]
    evaluated = nodes | beside_undefined(node_losses, coarse)
    checks = checked(~evaluated, node_losses, coarse, evaluator.seed)
    complete(points, _columns(evaluator, (evaluated | checks) & ~nodes), evaluator.measure, resume)
    _put(values, evaluator, points, evaluated | checks)
    interpolated = ~(evaluated | checks)
    errors = np.full(len(evaluator.sizes), np.nan)
    for group in np.flatnonzero(present) if interpolated.any() else ():
        losses = filled_losses(at_nodes[:, :, group, LOSS], coarse)
        errors[group] = worst(losses[checks], values[checks, group, LOSS])
        values[interpolated, group, LOSS] = losses[interpolated]
    return pd.concat(
        [
            _rows(evaluator, group, values, interpolated, errors[group])
            for group in range(len(evaluator.sizes))
        ],
        ignore_index=True,
    )


def _columns(evaluator: SurfaceEvaluator, chosen: np.ndarray) -> list[list[tuple[float, float]]]:
    """Places of the chosen points, bool [nx, ny], column by column; columns without one are left out."""
    return [
        [(x, y) for y in evaluator.ys[column].tolist()]
        for x, column in zip(evaluator.xs.tolist(), chosen, strict=True)
        if column.any()
    ]


def _put(values: np.ndarray, evaluator: SurfaceEvaluator, points: Points, chosen: np.ndarray) -> None:
    """Write the measures of the chosen points, bool [nx, ny], into `values` [nx, ny, groups, measures]."""
    for i, j in np.argwhere(chosen):
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
        batch_norm=evaluator.problem.policy(evaluator.batch_norm),
        precision=evaluator.precision,
        interpolated=filled,
        interpolation_error=np.where(filled, error, np.nan),
        axes=evaluator.plane.axes,
    )
