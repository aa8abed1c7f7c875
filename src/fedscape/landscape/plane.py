"""Stage `plane`: a plane for a group of runs, and where their models lie on it."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fedscape.errors import FedscapeError
from fedscape.federated.device import prepare_device
from fedscape.federated.trajectory import Trajectory
from fedscape.files import write_csv
from fedscape.landscape.projection import Plane, save_plane
from fedscape.models.evaluate import evaluate
from fedscape.models.subject import BatchNorm, Subject, check_layout, open_subject
from fedscape.plugins import load

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
    runs: Sequence[dict],
    plane: str,
    group: str,
    samples: int | None,
    seed: int,
    batch_norm: BatchNorm,
    device: str,
    out_plane: str | Path,
    out_markers: str | Path,
) -> None:
    """Write the plane `landscape/planes/<kind>.py` of a group of runs, and a CSV of its markers.

    trajectories, runs: files and identities in the same order, the reference run first. partition: whose
    train samples the losses are measured on; samples, seed: at most so many of them, chosen by the seed.
    plane, group: names for the CSV. Each marker has its coordinates, residual, the model's own loss and error
    (with its own buffers) and those at its projection (with `batch_norm`, as on the surface). Runs that
    diverged are left out, with a note; FedscapeError if none is left.
    """
    plugin = load("landscape.planes", kind)
    subject = open_subject(
        model, model_settings, dataset_folder, partition, samples, seed, prepare_device(device)
    )
    opened = [Trajectory.open(path) for path in trajectories]
    for trajectory in opened:
        check_layout(subject, trajectory.layout, trajectory.path)
        if trajectory.diverged:
            log.warning("%s: the run diverged and is left out of plane %s", trajectory.path, plane)
    runs = [run for run, trajectory in zip(runs, opened, strict=True) if not trajectory.diverged]
    opened = [trajectory for trajectory in opened if not trajectory.diverged]
    if not opened:
        raise FedscapeError(f"plane {plane}, group {group}: all its runs diverged; use a smaller lr")
    made = plugin.plane(opened, plugin.Settings(**settings))
    marked = [
        {
            **runs[run],
            "plane": plane,
            "group": group,
            **_marker(subject, made.to(subject.device), opened[run], number, batch_norm),
        }
        for run, number in plugin.marks(opened)
    ]
    frame = pd.DataFrame(marked)
    frame[["explained_x", "explained_y"]] = made.explained
    save_plane(out_plane, made)
    write_csv(out_markers, frame, sort_by=[*runs[0], "plane", "group", "round"])


def _marker(
    subject: Subject, plane: Plane, trajectory: Trajectory, number: int, batch_norm: BatchNorm
) -> dict:
    """Measures of the model after round `number`."""
    vector = trajectory.parameters(number).to(subject.device)
    x, y, residual = plane.project(vector)
    true = evaluate(
        subject.module, *subject.tensors(vector, trajectory.buffers(number), "keep"), subject.train
    )
    projected = evaluate(
        subject.module, *subject.tensors(plane.at(x, y), plane.buffers, batch_norm), subject.train
    )
    return {
        "round": number,
        "x": x,
        "y": y,
        "residual": residual,
        "loss": true.loss,
        "loss_at_projection": projected.loss,
        "error": true.error,
        "error_at_projection": projected.error,
    }
