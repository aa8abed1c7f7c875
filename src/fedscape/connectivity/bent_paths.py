"""Stage `curve`: curves between pairs of models, trained to avoid what lies on the straight line."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fedscape.checkpoints.checkpoint import Checkpoint, Checkpoints
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns import connectivity as columns
from fedscape.connectivity.barriers import barrier
from fedscape.connectivity.curve import Curve
from fedscape.connectivity.curve_training import BendState, BendTraining
from fedscape.connectivity.endpoints import ModelPair, kept_pair, pair_names
from fedscape.connectivity.path import line_rows, path_positions, path_rows, rise_rows
from fedscape.evaluation.problem import Problem, ProblemSpec, open_problem
from fedscape.files import atomic, reading
from fedscape.jobs.resume import Resume, ResumeFolder, counts_to
from fedscape.jobs.step_rows import join_steps, write_step
from fedscape.settings.connectivity import CurveSettings

CURVE_FILE, BARRIERS_FILE, BENDS_FILE = "curve.csv", "curve-barriers.csv", "bends.csv"
WEIGHTS_FILE, BEND_FILE = "bends.npy", "bend.npy"
COMMIT_SECONDS = 20
"""Between two commits of a bend in training: a kill loses at most this, and a step."""
Rows = list[dict[str, object]]

log = logging.getLogger(__name__)


def evaluate_curves(
    *,
    runs: Sequence[RunFiles],
    pairs: Sequence[ModelPair],
    problem: ProblemSpec,
    settings: CurveSettings,
    resume: Resume,
    out_curve: str | Path,
    out_barriers: str | Path,
    out_bends: str | Path,
    out_weights: str | Path,
) -> None:
    """Train a curve between the models of each pair; write it beside the straight line between them.

    Killed at any moment and called again, it resumes. Batch-norm statistics are measured anew at every point
    that is evaluated, both ends included. out_bends: a row for each curve. out_weights: the bends, as a NumPy
    array float32 [pairs, P], parameters in `named_parameters()` order; NaN in the rows of pairs left out.
    runs: with the files of clients' models where pairs are of these. A pair of which a model is missing (its
    run diverged before, its client did not take part) is left out with a note.
    """
    opened = open_problem(problem)
    training = BendTraining(opened, settings)
    checkpoints = Checkpoints.open(opened.module, runs)
    identities = [run.identity for run in runs]
    with ResumeFolder(resume, valid=counts_to(len(pairs))) as folder:
        for number, pair in folder.steps(pairs, "curve {} of {}"):
            if ends := kept_pair(checkpoints, pair):
                first, last = (checkpoints.parameters(end).to(opened.device) for end in ends)
                words = f"of curve {number + 1} of {len(pairs)}"
                bend = _trained(folder, number, training, first, last, words)
                curve, rows, about = chosen_curve(
                    opened, checkpoints, ends, Curve(settings.form, first, bend, last), settings.points
                )
                names = {**pair_names(identities, ends, settings.between), "form": settings.form}
                about = {**names, "bend": number, **about, "steps": training.steps}
                _write_pair(folder.folder, number, names, rows, about)
                _write_array(folder.folder / f"{number}-{BEND_FILE}", curve.bend)
        if not folder.finished:
            join_steps(folder.folder, CURVE_FILE, columns.CURVE_CSV)
            join_steps(folder.folder, BARRIERS_FILE, columns.CURVE_BARRIERS_CSV)
            join_steps(folder.folder, BENDS_FILE, columns.BENDS_CSV)
            _join_bends(folder.folder, len(pairs), opened.layout.parameter_count)
        folder.finish(
            {
                CURVE_FILE: out_curve,
                BARRIERS_FILE: out_barriers,
                BENDS_FILE: out_bends,
                WEIGHTS_FILE: out_weights,
            }
        )


def chosen_curve(
    problem: Problem,
    checkpoints: Checkpoints,
    ends: tuple[Checkpoint, Checkpoint],
    trained: Curve,
    points: int,
) -> tuple[Curve, dict[str, Rows], dict[str, object]]:
    """The better of a trained curve and the straight line, rows of points of both lines, and what it is like.

    The straight line is one of the curves that there are, and training began with it. The trained one is kept
    where its barrier of the train loss is lower, or else (both may be 0) its mean train loss over the points.
    So the reported barrier of the train loss is never above the straight one's; test samples choose nothing.
    """
    positions = path_positions(points)
    buffers = checkpoints.buffers(ends[0])
    straight = path_rows(problem, checkpoints, ends, positions, "recalibrate")
    bent = line_rows(problem, lambda t: (trained.at(t), buffers), positions, "recalibrate")
    heights = [_height(rows, positions) for rows in (straight, bent)]
    keeps = _lower(heights[1], heights[0])
    if not keeps:
        log.info("training did not lower the barrier of the train loss: the straight line is kept")
    line = Curve.straight(trained.form, trained.first, trained.last)
    curve = trained if keeps else line
    about: dict[str, object] = {
        "kept": "trained" if keeps else "straight",
        "straight_length": line.length,
        "length": curve.length,
        "bend_distance": curve.bend_distance,
        "straight_sup": heights[0][0],
        "trained_sup": heights[1][0],
        "straight_loss": heights[0][1],
        "trained_loss": heights[1][1],
    }
    return curve, {"straight": straight, "curve": bent if keeps else straight}, about


def _height(rows: Rows, positions: np.ndarray) -> tuple[float, float]:
    """Barrier and mean of the train loss of a line."""
    losses = np.array([row["loss"] for row in rows if row["split"] == "train"], dtype=np.float64)
    return barrier(positions, losses).sup, float(losses.mean())


def _lower(height: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether a line lies lower than another one; what is not finite lies above all that is."""
    if not np.isfinite(height).all():
        return False
    return not np.isfinite(other).all() or height < other


def _trained(
    folder: ResumeFolder, number: int, training: BendTraining, first: Tensor, last: Tensor, words: str
) -> Tensor:
    """The trained bend of one pair [P], which resumes where an earlier process was."""
    state = _resumed(folder, number, first.device)
    if state is None:
        bend = Curve.straight(training.settings.form, first, last).bend
        state = BendState(bend, torch.zeros_like(bend))
    committed = time.monotonic()
    while state.step < training.steps:
        training.advance(state, first, last)
        due = time.monotonic() - committed >= COMMIT_SECONDS or folder.signalled
        if due or state.step == training.steps:
            _commit(folder, number, state)
            committed = time.monotonic()
            if reason := folder.stop_requested():
                folder.stop(reason, f"step {state.step} of {training.steps} {words}")
    return state.bend


def _resumed(folder: ResumeFolder, number: int, device: torch.device) -> BendState | None:
    kept = folder.progress.get("training")
    if not kept or kept["curve"] != number:
        return None
    path = folder.folder / _state_file(number, kept["step"])
    with reading(path, "state of a bend"):
        bend, velocity = torch.from_numpy(np.load(path, allow_pickle=False)).to(device)
    return BendState(bend.clone(), velocity.clone(), kept["step"])


def _commit(folder: ResumeFolder, number: int, state: BendState) -> None:
    """Keep a bend in training; the state before it goes once the new one counts."""
    file = _state_file(number, state.step)
    _write_array(folder.folder / file, torch.stack([state.bend, state.velocity]))
    done = [name for step in range(number) for name in _files(folder.folder, f"{step}-*")]
    folder.commit({"done": number, "training": {"curve": number, "step": state.step}}, [*done, file])
    for name in _files(folder.folder, "training-*"):
        if name != file:
            (folder.folder / name).unlink()


def _state_file(number: int, step: int) -> str:
    # Not `<number>-*`: a step's own files are those that stay.
    return f"training-{number}-{step}.npy"


def _files(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def _write_pair(
    folder: Path, number: int, names: dict[str, object], rows: dict[str, Rows], about: dict[str, object]
) -> None:
    """Keep the rows of one pair's three CSVs."""
    points: Rows = []
    barriers: Rows = []
    for line, of_line in rows.items():
        positions = np.array([row["t"] for row in of_line if row["split"] == "train"])
        points += [{**names, "line": line, **row} for row in of_line]
        barriers += [{**names, "line": line, **row} for row in rise_rows(of_line, positions)]
    write_step(folder, number, CURVE_FILE, points)
    write_step(folder, number, BARRIERS_FILE, barriers)
    write_step(folder, number, BENDS_FILE, [about])


def _write_array(path: Path, tensor: Tensor) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, tensor.cpu().numpy(), allow_pickle=False)


def _join_bends(folder: Path, pairs: int, parameters: int) -> None:
    """All bends in one array, a row at a time."""
    with (folder / WEIGHTS_FILE).open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (pairs, parameters)}
        np.lib.format.write_array_header_1_0(file, header)
        for number in range(pairs):
            path = folder / f"{number}-{BEND_FILE}"
            row = np.load(path) if path.is_file() else np.full(parameters, np.nan)
            file.write(row.astype("<f4").tobytes())
