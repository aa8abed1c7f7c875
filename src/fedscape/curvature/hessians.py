"""Stage `curvature`: the curvature of the loss at chosen models of several runs, global ones and clients'."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from fedscape.checkpoints.checkpoint import GLOBAL, Checkpoint, Checkpoints
from fedscape.checkpoints.layout import parameters_of
from fedscape.checkpoints.readers import ClientModels
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns import curvature as columns
from fedscape.curvature.client_mean import client_mean
from fedscape.curvature.hessian_agreement import agreement
from fedscape.curvature.measure import EXACT, ModelOnSamples, hessian_rows, sharpness_row
from fedscape.curvature.piecewise import check_piecewise_linear, why_not_piecewise_linear
from fedscape.curvature.targets import Target, TargetSamples
from fedscape.evaluation.batch_norm import recalibrated
from fedscape.evaluation.problem import ProblemSpec, open_problem
from fedscape.files import atomic
from fedscape.jobs.resume import Resume, ResumeFolder, counts_to
from fedscape.jobs.step_rows import join_steps, write_step
from fedscape.settings.curvature import CurvatureSettings, Definition, Sharpness, Trace

CURVATURE_FILE, DENSITY_FILE = "curvature.csv", "density.csv"
EXACT_CLASSES = 20
"""With more classes `auto` estimates a trace: the exact one takes a backward pass for each of them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Step:
    """What is measured between two commits: at a model its Hessian, or one sharpness with its radius."""

    target: Target
    sharpness: tuple[Sharpness, float] | None = None


def evaluate_hessians(
    *,
    runs: Sequence[RunFiles],
    problem: ProblemSpec,
    settings: CurvatureSettings,
    resume: Resume,
    out_curvature: str | Path,
    out_density: str | Path,
) -> None:
    """Write curvature.csv and density.csv; killed at any moment and called again, it resumes.

    runs: with the files of clients' models where the settings ask for these, and with clients' samples where
    they ask for these or for a mean of models. problem: whose train samples the `global` ones are; at most
    `samples` of these and of each client's own, the same in every pass. The network is in eval mode, with the
    model's own running statistics or those that the settings ask for. A run that diverged is without the
    rounds that it has not reached.
    Raises FedscapeError before anything is computed where an exact diagonal is not possible.
    """
    opened = open_problem(problem)
    checkpoints = Checkpoints.open(opened.module, runs)
    samples = TargetSamples.open(opened, problem, runs)
    settings = replace(settings, trace=_chosen_trace(settings, checkpoints, samples))
    if settings.trace == EXACT or settings.hessian_agreement:
        what = "trace: exact" if settings.trace == EXACT else "hessian_agreement"
        check_piecewise_linear(*_first_model(checkpoints, samples), what)
    steps = list(_steps(checkpoints, settings))
    with ResumeFolder(resume, valid=counts_to(len(steps))) as folder:
        for number, step in folder.steps(steps, "{} of {} measurements"):
            target = step.target
            run, model = runs[target.checkpoint.run], _model(checkpoints, samples, target, settings)
            log.info("%s: round %d, %s", run.trajectory, target.checkpoint.round, target.words)
            rows, points = [], []
            if step.sharpness is not None and settings.sharpness is not None:
                rows = [sharpness_row(model, *step.sharpness, settings.sharpness, problem.seed)]
            elif step.sharpness is None and _asked(target) in settings.of:
                rows, points = hessian_rows(model, settings, problem.seed)
            names = {**run.identity, **target.columns}
            write_step(folder.folder, number, CURVATURE_FILE, [{**names, **row} for row in rows])
            write_step(folder.folder, number, DENSITY_FILE, [{**names, **point} for point in points])
            if settings.hessian_agreement and target.of == "client" and step.sharpness is None:
                _save_diagonal(folder.folder, number, model.diagonal)
        if not folder.finished:
            agreements = _agreements(folder.folder, steps, runs, samples, settings)
            join_steps(folder.folder, CURVATURE_FILE, columns.CURVATURE_CSV, more=agreements)
            join_steps(folder.folder, DENSITY_FILE, columns.DENSITY_CSV)
        folder.finish({CURVATURE_FILE: out_curvature, DENSITY_FILE: out_density})


def _chosen_trace(settings: CurvatureSettings, checkpoints: Checkpoints, samples: TargetSamples) -> Trace:
    """What `auto` means for this network and these classes."""
    if settings.trace != "auto":
        return settings.trace
    reason = why_not_piecewise_linear(*_first_model(checkpoints, samples))
    return automatic_trace(reason, samples.classes, settings.layers)


def automatic_trace(reason: str | None, classes: int, layers: bool) -> Trace:
    """The exact trace where that is possible and cheap, else what suits traces of layers, or of the whole.

    reason: what keeps it from being exact, if anything does.
    """
    if reason is None and classes > EXACT_CLASSES:
        reason = f"there are {classes} classes"
    if reason is None:
        return EXACT
    estimator = "hutchinson" if layers else "hutch++"
    log.info("traces are estimated (%s), because %s", estimator, reason)
    return estimator


def _first_model(
    checkpoints: Checkpoints, samples: TargetSamples
) -> tuple[nn.Module, dict[str, Tensor], Tensor]:
    """The network, the tensors of any of its models and a sample, for a look at its layers."""
    problem = samples.problem
    parameters, buffers = checkpoints.state(Checkpoint(0, checkpoints.trajectories[0].rounds[0]))
    tensors = {name: tensor.to(problem.device) for name, tensor in {**parameters, **buffers}.items()}
    return problem.module, tensors, samples.first


def _steps(checkpoints: Checkpoints, settings: CurvatureSettings) -> Iterator[_Step]:
    """All that is measured, in a fixed order."""
    for target in _targets(checkpoints, settings):
        if settings.measures_hessian:
            yield _Step(target)
        if settings.sharpness is not None and _asked(target) in settings.of:
            for measure in settings.sharpness.asked:
                yield _Step(target, measure)


def _asked(target: Target) -> str:
    """What the setting `of` calls its model."""
    return "clients" if target.of == "client" else target.of


def _targets(checkpoints: Checkpoints, settings: CurvatureSettings) -> Iterator[Target]:
    """The models to look at, and on which samples, in a fixed order."""
    for run, trajectory in enumerate(checkpoints.trajectories):
        kept = checkpoints.clients[run].rounds if settings.needs_clients_alone else trajectory.rounds
        numbers = {trajectory.number(moment, kept) for moment in settings.rounds}
        # A run that diverged is without the rounds after its last.
        for number in sorted(number for number in numbers if number <= trajectory.last):
            if "global" in settings.of:
                yield Target(Checkpoint(run, number), "global")
            if not settings.needs_clients:
                continue
            clients = _participants(checkpoints.clients[run], number)
            if "clients" in settings.of or settings.hessian_agreement:
                for client in clients:
                    for data in settings.data:
                        yield Target(Checkpoint(run, number, client), data)
            if "mean" in settings.of and clients:
                if "global" in settings.data:
                    yield Target(Checkpoint(run, number), "global", is_mean=True)
                if "own" in settings.data:
                    for client in clients:
                        yield Target(Checkpoint(run, number, client), "own", is_mean=True)


def _participants(clients: ClientModels, number: int) -> list[int]:
    """The clients that took part in a round; none, with a note, where their models are not kept."""
    if number in clients.rounds:
        return clients.clients(number).tolist()
    # Which rounds a study keeps is checked before: the run ended before the one asked for.
    log.warning("%s: no clients' models of round %d, where the run ended early", clients.path, number)
    return []


def _model(
    checkpoints: Checkpoints, samples: TargetSamples, target: Target, settings: CurvatureSettings
) -> ModelOnSamples:
    problem, name, data = samples.problem, target.checkpoint, samples.of(target)
    if target.is_mean:
        models = checkpoints.clients[name.run]
        sizes = samples.sizes(name.run, models.clients(name.round).tolist())
        parameters, buffers = client_mean(models, name.round, sizes)
    else:
        parameters, buffers = checkpoints.parameters(name), checkpoints.buffers(name)
    parameters = parameters.to(problem.device)
    buffers = {buffer: tensor.to(problem.device) for buffer, tensor in buffers.items()}
    policy = problem.policy(settings.batch_norm)
    if policy == "recalibrate":
        named = parameters_of(parameters, problem.layout)
        buffers = recalibrated(problem.module, named, buffers, data)
    return ModelOnSamples(problem, parameters, buffers, data, policy)


def _save_diagonal(folder: Path, number: int, diagonal: Tensor) -> None:
    with atomic(_diagonal_file(folder, number)) as temporary, temporary.open("wb") as file:
        np.save(file, diagonal.numpy())


def _diagonal_file(folder: Path, number: int) -> Path:
    return folder / f"{number}-diagonal.npy"


def _agreements(
    folder: Path,
    steps: Sequence[_Step],
    runs: Sequence[RunFiles],
    samples: TargetSamples,
    settings: CurvatureSettings,
) -> list[dict[str, object]]:
    """Rows of H_N and H_D: of the clients of a round, on each kind of samples, by each definition."""
    definitions: Sequence[Definition] = settings.hessian_agreement
    if not definitions:
        return []
    rounds: dict[tuple[int, int, str], list[int]] = {}
    for number, step in enumerate(steps):
        if step.target.of == "client" and step.sharpness is None:
            model = step.target.checkpoint
            rounds.setdefault((model.run, model.round, step.target.data), []).append(number)
    sizes = [math.prod(shape) for _, shape in samples.problem.layout.parameters]
    rows: list[dict[str, object]] = []
    for (run, round_number, data), numbers in rounds.items():
        diagonals = [np.load(_diagonal_file(folder, number), mmap_mode="r") for number in numbers]
        counts = [samples.count(steps[number].target) for number in numbers]
        for definition in definitions:
            agreed = agreement(diagonals, sizes, definition)
            shared = {
                **runs[run].identity, "round": round_number, "of": "clients", "client": GLOBAL, "data": data,
                "index": 0, "layer": "", "definition": definition, "radius": np.nan, "estimator": EXACT,
                "standard_error": np.nan, "residual": np.nan, "products": 0,
                "batch_norm": samples.problem.policy(settings.batch_norm),
                "samples": counts[0] if data == "global" else sum(counts),
            }  # fmt: skip
            rows += [{**shared, "quantity": "H_N", "value": agreed.norm}]
            rows += [{**shared, "quantity": "H_D", "value": agreed.direction}]
    return rows
