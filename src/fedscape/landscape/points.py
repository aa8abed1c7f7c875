"""Evaluated points of a plane: their file, and how a job evaluates more of them without losing any.

The file lies beside the surface and outlives it. Its fingerprint stands for all that decides what a point's
measures are, and not for which points were asked for: a finer grid, another box and a job that was killed
take over every point that they share with it.
"""

import logging
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fedscape.columns.planes import POINT_MEASURES
from fedscape.errors import reason
from fedscape.files import atomic
from fedscape.jobs.resume import ResumeFolder

POINTS_FILE = "points.npz"

Place = tuple[float, float]
Columns = Sequence[Sequence[Place]]
Points = dict[Place, np.ndarray]
"""Coordinates (x, y) -> float64 [groups, measures]; the first group is all samples, then one a client."""

log = logging.getLogger(__name__)


def save_points(path: str | Path, points: Mapping[Place, np.ndarray], fingerprint: str) -> None:
    """Write points, atomically; the same points give the same bytes, in whatever order they were made."""
    nodes = sorted(points)
    with atomic(path) as temporary, temporary.open("wb") as file:  # a path, np.savez would rename
        np.savez(
            file,
            fingerprint=np.array(fingerprint),
            places=np.array(nodes, dtype=np.float64).reshape(-1, 2),
            measures=np.array([points[node] for node in nodes], dtype=np.float64),
        )


def saved_points(path: str | Path, fingerprint: str, groups: int) -> Points:
    """Points of a file; none, with a note in the log, if it is damaged or of another fingerprint.

    They can all be evaluated again, so no file of points is a reason to fail.
    """
    try:
        # opened here, because np.load leaves a file open that it finds broken
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            made_for = str(arrays["fingerprint"])
            places, measures = arrays["places"], arrays["measures"]
    except FileNotFoundError:
        return {}
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        log.warning("%s: not a whole file of points (%s); evaluating all points", path, reason(error))
        return {}
    if made_for != fingerprint:
        log.warning("%s: settings, code or inputs have changed since; evaluating all points", path)
        return {}
    if places.shape[:1] == (0,):
        return {}
    count = places.size // 2
    shapes = (count, 2), (count, groups, len(POINT_MEASURES))
    if (places.shape, measures.shape) != shapes or {places.dtype, measures.dtype} != {np.dtype(np.float64)}:
        log.warning("%s: not points of this surface; evaluating all points", path)
        return {}
    if (measures < 0).any():
        log.warning("%s: losses, errors or standard errors below 0; evaluating all points", path)
        return {}
    return {(x, y): row for (x, y), row in zip(places.tolist(), measures, strict=True)}


def complete(
    points: Points,
    columns: Columns,
    measure: Callable[[float, float], np.ndarray],
    resume: ResumeFolder,
) -> None:
    """Evaluate, in place, what `points` does not have of some columns of places, in their order.

    Every column is committed to the resume folder, so a kill loses one at most. A job that is told to stop
    commits the point at which it is, and ends.
    """
    missing = [[node for node in column if node not in points] for column in columns]
    total, waiting = sum(map(len, columns)), sum(map(len, missing))
    if waiting < total:
        log.info("%d of %d points are there already", total - waiting, total)
    with tqdm(total=total, initial=total - waiting, disable=None) as bar:
        for number, column in enumerate(missing, 1):
            for node in column:
                points[node] = measure(*node)
                waiting -= 1
                bar.update()
                reason = resume.stop_requested()
                if reason or node == column[-1]:
                    save_points(resume.folder / POINTS_FILE, points, resume.fingerprint)
                    resume.commit({"points": len(points)})
                if reason and waiting:
                    resume.stop(reason, f"point {total - waiting} of {total}")
            if column:
                log.info("column %d of %d", number, len(missing))
