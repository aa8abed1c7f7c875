"""Stage `surface`: loss and error on a grid over a plane, resumable point by point."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from fedscape.federated.device import prepare_device
from fedscape.files import read_csv, write_csv
from fedscape.landscape.projection import open_plane
from fedscape.models.evaluate import evaluate
from fedscape.models.subject import BatchNorm, check_layout, open_subject
from fedscape.resume import ResumeFolder

MEASURES = ("loss", "loss_se", "error", "error_se")
TABLE = "surface.csv"

log = logging.getLogger(__name__)


def evaluate_surface(
    *,
    plane_file: str | Path,
    markers_file: str | Path,
    grid: int | Sequence[int],
    margin: float,
    model: str,
    model_settings: dict,
    dataset_folder: str | Path,
    partition: str | Path,
    identity: dict,
    plane: str,
    group: str,
    samples: int | None,
    seed: int,
    batch_norm: BatchNorm,
    device: str,
    resume_folder: str | Path,
    fingerprint: str,
    out: str | Path,
) -> None:
    """Write `surface.csv`: one row per grid point (i, j) at (x, y), i along x.

    grid: points per side, or (along x, along y). margin: added around the markers' bounding box, as a share
    of its larger side. identity: of the group, `*` where its runs differ; plane, group: names for the CSV.
    samples, seed: as in `make_plane`. resume_folder: holds the points made so far while the job runs;
    fingerprint: of all that decides them, so that others are not continued.
    """
    subject = open_subject(
        model, model_settings, dataset_folder, partition, samples, seed, prepare_device(device)
    )
    opened = open_plane(plane_file)
    check_layout(subject, opened.layout, plane_file)
    opened = opened.to(subject.device)
    markers = read_csv(markers_file)
    xs, ys = grid_axes(markers["x"].to_numpy(), markers["y"].to_numpy(), grid, margin)
    points = [(i, j, x, y) for i, x in enumerate(xs.tolist()) for j, y in enumerate(ys.tolist())]
    with ResumeFolder(resume_folder, fingerprint) as resume:
        done: list[list[float]] = resume.progress.get("points", [])
        for i, j, x, y in tqdm(points[len(done) :], total=len(points), initial=len(done), disable=None):
            tensors = subject.tensors(opened.at(x, y), opened.buffers, batch_norm)
            evaluation = evaluate(subject.module, *tensors, subject.train)
            done.append([getattr(evaluation, measure) for measure in MEASURES])
            reason = resume.stop_requested()
            if j == len(ys) - 1 or reason:
                resume.commit({"points": done})
                log.info("column %d of %d", i + 1, len(xs))
            if reason and len(done) < len(points):
                resume.stop(reason, f"point {len(done)} of {len(points)}")
        frame = pd.DataFrame(points, columns=["i", "j", "x", "y"])
        frame[list(MEASURES)] = np.array(done)
        frame["samples"] = len(subject.train.labels)
        frame["batch_norm"] = subject.policy(batch_norm)
        named = pd.DataFrame({**identity, "plane": plane, "group": group}, index=frame.index)
        write_csv(resume.folder / TABLE, named.join(frame), sort_by=["i", "j"])
        resume.finish({TABLE: out})


def grid_axes(
    x: np.ndarray, y: np.ndarray, grid: int | Sequence[int], margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of a grid's columns [nx] and rows [ny], around markers at (x, y).

    The grid covers the markers' bounding box and `margin` times its larger side on every side of it. Its step
    is the same along both axes (they have the same unit), so the shorter side is extended about its middle.
    """
    counts = [grid, grid] if isinstance(grid, int) else list(grid)
    if len(counts) != 2 or min(counts) < 2:
        raise ValueError(f"grid must be a number >= 2 or two of them, got {grid}")
    sides = [np.ptp(x), np.ptp(y)]
    # Markers that all coincide leave the size open: one unit of parameter distance.
    larger = max(sides) or 1.0
    step = max((side + 2 * margin * larger) / (n - 1) for side, n in zip(sides, counts, strict=True))
    if step == 0:
        step = larger / (max(counts) - 1)
    middles = [(values.min() + values.max()) / 2 for values in (x, y)]
    along_x, along_y = (
        middle + step * (np.arange(n) - (n - 1) / 2) for middle, n in zip(middles, counts, strict=True)
    )
    return along_x, along_y
