"""Stage `curvature`: the curvature of the loss at chosen models of several runs, global ones and clients'."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from fedscape.checkpoints.checkpoint import GLOBAL, Checkpoint, Checkpoints
from fedscape.checkpoints.readers import ClientModels
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns import curvature as columns
from fedscape.columns.column import File
from fedscape.columns.csvs import read_csv, write_csv
from fedscape.curvature.exact import exact_diagonal
from fedscape.curvature.hessian_agreement import agreement
from fedscape.curvature.measure import EXACT, ModelOnSamples, Quantities, model_rows
from fedscape.curvature.piecewise import check_piecewise_linear, why_not_piecewise_linear
from fedscape.curvature.targets import Target, TargetSamples
from fedscape.evaluation.problem import ProblemSpec, open_problem
from fedscape.files import atomic
from fedscape.jobs.resume import Resume, ResumeFolder, counts_to
from fedscape.plugins import Plugin

CURVATURE, DENSITY = "curvature.csv", "density.csv"
EXACT_CLASSES = 20
"""With more classes `auto` estimates a trace: the exact one takes a backward pass for each of them."""

log = logging.getLogger(__name__)


def evaluate_hessians(
    *,
    runs: Sequence[dict],
    trajectories: Sequence[str | Path],
    clients: Sequence[str | Path],
    partitions: Sequence[str | Path],
    rounds: Sequence[int | float | str],
    of: Sequence[str],
    on: Sequence[str],
    top: int,
    bottom: int,
    trace: str,
    layers: bool,
    probes: int,
    density: Mapping[str, object] | None,
    agreements: Sequence[str],
    model: str,
    model_settings: dict,
    dataset_folder: str | Path,
    partition: str | Path,
    curvature: str,
    group: str,
    samples: int | None,
    seed: int,
    device: str,
    resume: str | Path,
    fingerprint: str,
    out_curvature: str | Path,
    out_density: str | Path,
) -> None:
    """Write curvature.csv and density.csv; killed at any moment and called again, it resumes.

    rounds: as in `chosen_rounds`. of: `global`, `clients`: whose models. on: `global`, the train samples of
    `partition`, and `own`, each client's own of its run's file in `partitions`; at most `samples` of either,
    chosen by `seed`, the same in every product. top, bottom: eigenvalues at each end. trace: `none`, `exact`,
    the name of an estimator, or `auto`, exact where that is possible and cheap. layers: each layer's trace
    too. probes: products of an estimate. density: `{steps, probes, width}` or None. agreements: definitions
    of H_N and H_D. clients, partitions: files of each run, none unless clients' models or samples are asked
    for. The network is in eval mode with the model's own running statistics. curvature, group: names for
    the CSV. fingerprint: digest of all that the job depends on; a folder `resume` of another one is emptied.
    Raises FedscapeError before anything is computed where an exact diagonal is not possible.
    """
    spec = ProblemSpec(Plugin(model, model_settings), dataset_folder, partition, samples, seed, device)
    problem = open_problem(spec)
    checkpoints = Checkpoints.open(
        problem.module, [RunFiles({}, *files) for files in zip_longest(trajectories, clients)]
    )
    target_samples = TargetSamples.open(problem, dataset_folder, partitions, samples, seed)
    chosen = _chosen_trace(checkpoints, target_samples, trace, layers)
    quantities = Quantities(top, bottom, chosen, layers, probes, density)
    if quantities.trace == EXACT or agreements:
        name = "trace: exact" if quantities.trace == EXACT else "hessian_agreement"
        check_piecewise_linear(*_first_model(checkpoints, target_samples), name)
    targets = list(_targets(checkpoints, rounds, of, on, bool(agreements)))
    with ResumeFolder(Resume(resume, fingerprint), valid=counts_to(len(targets))) as folder:
        if done := folder.progress.get("done"):
            log.info("continuing after model %d of %d", done, len(targets))
        for number, target in enumerate(tqdm(targets, disable=None) if not folder.finished else ()):
            if number < folder.progress.get("done", 0):
                continue
            if reason := folder.stop_requested():
                folder.stop(reason, f"{number} of {len(targets)} models")
            model = target.checkpoint
            log.info("%s: round %d, %s", trajectories[model.run], model.round, target.words)
            whole = ("global" if target.is_global else "clients") in of
            identity = {**runs[model.run], "curvature": curvature, "group": group, **target.columns}
            measured = _measured(
                checkpoints, target_samples, target, quantities if whole else None, bool(agreements), seed
            )
            _save(folder.folder, number, identity, *measured)
            parts = [path.name for path in folder.folder.glob(f"{number}-*")]
            folder.commit({"done": number + 1}, parts, adding=True)
        if not folder.finished:
            names = {"curvature": curvature, "group": group}
            agreed = _agreements(folder.folder, targets, target_samples, runs, names, agreements)
            _join(folder.folder, CURVATURE, columns.CURVATURE_CSV, agreed)
            _join(folder.folder, DENSITY, columns.DENSITY_CSV, [])
        folder.finish({CURVATURE: out_curvature, DENSITY: out_density})


def chosen_rounds(kept: Sequence[int], rounds: Sequence[int | float | str]) -> list[int]:
    """Round numbers, ascending, from a mixture of numbers, shares of the last round (0.5) and "last".

    A share means the kept round nearest to it. A number past the last kept round is left out: that run ended
    early, because it diverged.
    """
    chosen = set()
    for value in rounds:
        if value == "last":
            chosen.add(kept[-1])
        elif isinstance(value, float):
            chosen.add(min(kept, key=lambda number: abs(number - value * kept[-1])))
        elif value <= kept[-1]:
            chosen.add(value)
    return sorted(chosen)


def _chosen_trace(checkpoints: Checkpoints, samples: TargetSamples, trace: str, layers: bool) -> str:
    """What `auto` means for this network and these classes."""
    if trace != "auto":
        return trace
    module, tensors, inputs = _first_model(checkpoints, samples)
    reason = why_not_piecewise_linear(module, tensors, inputs)
    if reason is None and samples.classes > EXACT_CLASSES:
        reason = f"there are {samples.classes} classes"
    if reason is None:
        return EXACT
    estimator = "hutchinson" if layers else "hutch++"
    log.info("traces are estimated (%s), because %s", estimator, reason)
    return estimator


def _first_model(checkpoints: Checkpoints, samples: TargetSamples) -> tuple:
    """The network, the tensors of any of its models and a sample, for a look at its layers."""
    problem = samples.problem
    parameters, buffers = checkpoints.state(Checkpoint(0, checkpoints.trajectories[0].rounds[0]))
    ((inputs, _), *_) = samples.first.batches()
    tensors = {name: tensor.to(problem.device) for name, tensor in {**parameters, **buffers}.items()}
    return problem.module, tensors, inputs


def _targets(
    checkpoints: Checkpoints, rounds: Sequence, of: Sequence[str], on: Sequence[str], agreed: bool
) -> Iterator[Target]:
    """The models to look at, and on which samples, in a fixed order."""
    for run, trajectory in enumerate(checkpoints.trajectories):
        for number in chosen_rounds(trajectory.rounds, rounds):
            if "global" in of:
                yield Target(Checkpoint(run, number), "global")
            if "clients" in of or agreed:
                for client in _participants(checkpoints.clients[run], number):
                    for data in on:
                        yield Target(Checkpoint(run, number, client), data)


def _participants(clients: ClientModels, number: int) -> list[int]:
    """The clients that took part in a round; none, with a note, where their models are not kept."""
    if number in clients.rounds:
        return clients.clients(number).tolist()
    # Which rounds a study keeps is checked before: the run ended before the one asked for.
    log.warning("%s: no clients' models of round %d, where the run ended early", clients.path, number)
    return []


def _measured(
    checkpoints: Checkpoints,
    samples: TargetSamples,
    target: Target,
    quantities: Quantities | None,
    agreed: bool,
    seed: int,
) -> tuple[list, list, np.ndarray | None]:
    """Rows of both CSVs about one model, and its diagonal if clients' are compared."""
    device = samples.problem.device
    parameters = checkpoints.parameters(target.checkpoint).to(device)
    buffers = {name: tensor.to(device) for name, tensor in checkpoints.buffers(target.checkpoint).items()}
    model = ModelOnSamples(samples.problem, parameters, buffers, samples.of(target))
    compared = agreed and not target.is_global
    exact = compared or (quantities is not None and quantities.trace == EXACT)
    diagonal = exact_diagonal(*model.arguments).cpu() if exact else None
    rows, points = model_rows(model, quantities, diagonal, seed) if quantities else ([], [])
    return rows, points, diagonal.numpy() if compared else None


def _save(
    folder: Path, number: int, identity: dict, rows: list, points: list, diagonal: np.ndarray | None
) -> None:
    """Keep what was measured of model `number` until all are done."""
    for name, found in ((CURVATURE, rows), (DENSITY, points)):
        if found:
            table = pd.DataFrame([{**identity, **row} for row in found])
            write_csv(folder / f"{number}-{name}", table, sort_by=list(identity))
    if diagonal is not None:
        with atomic(_diagonal(folder, number)) as temporary, temporary.open("wb") as file:
            np.save(file, diagonal)


def _diagonal(folder: Path, number: int) -> Path:
    return folder / f"{number}-diagonal.npy"


def _agreements(
    folder: Path,
    targets: Sequence[Target],
    samples: TargetSamples,
    runs: Sequence[dict],
    names: Mapping[str, str],
    definitions: Sequence[str],
) -> list[dict]:
    """Rows of H_N and H_D: of the clients of a round, on each kind of samples, by each definition."""
    rounds: dict[tuple, list[int]] = {}
    for number, target in enumerate(targets):
        if not target.is_global:
            model = target.checkpoint
            rounds.setdefault((model.run, model.round, target.data), []).append(number)
    sizes = [math.prod(shape) for _, shape in samples.problem.layout.parameters]
    rows = []
    for (run, number, data), places in rounds.items() if definitions else ():
        diagonals = [np.load(_diagonal(folder, place), mmap_mode="r") for place in places]
        counts = [samples.count(targets[place]) for place in places]
        for definition in definitions:
            found = agreement(diagonals, sizes, definition)
            shared = {
                **runs[run], **names, "round": number, "of": "clients", "client": GLOBAL, "data": data,
                "index": 0, "layer": "", "definition": definition, "estimator": EXACT,
                "standard_error": np.nan, "residual": np.nan, "products": 0,
                "samples": counts[0] if data == "global" else sum(counts),
            }  # fmt: skip
            rows += [{**shared, "quantity": "H_N", "value": found.norm}]
            rows += [{**shared, "quantity": "H_D", "value": found.direction}]
    return rows


def _join(folder: Path, name: str, file: File, more: list[dict]) -> None:
    """All models' rows of one kind in one file, sorted; layers stay in their order."""
    paths = sorted(folder.glob(f"*-{name}"), key=lambda path: int(path.name.partition("-")[0]))
    parts = [*(read_csv(path, file.types) for path in paths), *([pd.DataFrame(more)] if more else [])]
    table = pd.concat(parts) if parts else pd.DataFrame()
    write_csv(folder / name, table.reindex(columns=file.columns), file.order)
