"""Stage `layers`: layer-wise barriers and distances between pairs of models of a study's runs."""

import logging
import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import pandas as pd
from torch import Tensor, nn
from tqdm import tqdm

from fedscape.checkpoints.checkpoint import Checkpoints
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns import connectivity as columns
from fedscape.columns.column import File
from fedscape.columns.csvs import read_csv, write_csv
from fedscape.connectivity.endpoints import Endpoint, endpoints
from fedscape.connectivity.layer_distances import WHOLE, distances
from fedscape.connectivity.layer_groups import chosen_layers, layers_of
from fedscape.connectivity.layer_merges import Model
from fedscape.connectivity.layerwise import barrier_rows, layerwise_barriers
from fedscape.connectivity.matching import match_weights, permuted, units_moved
from fedscape.connectivity.permutations import Permutations, permutations_of
from fedscape.connectivity.repair import check_repairable, repair, repaired
from fedscape.evaluation.evaluate import Evaluation, EvaluationSet, evaluate
from fedscape.evaluation.problem import Problem, ProblemSpec, open_problem
from fedscape.jobs.resume import Resume, ResumeFolder, counts_to
from fedscape.plugins import Plugin
from fedscape.settings.evaluation import BatchNorm

LAYERS, DISTANCES = "layers.csv", "distances.csv"
LAYER_ORDER = ["split", "measure", "regime", "averaged", "depth", "rest", "draw"]
"""Of a pair's mixtures: as an order of layers averages them, one after the other."""
DISTANCE_ORDER = ["depth"]
REPAIRED = {"none": "repair", "weights": "weights-repair"}
"""Alignments, and what each is called with repaired activations; of these there is the full average alone."""

log = logging.getLogger(__name__)


def evaluate_pairs(
    *,
    pairs: Sequence[Mapping],
    runs: Sequence[dict],
    trajectories: Sequence[str | Path],
    clients: Sequence[str | Path],
    between: str,
    regimes: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    order_seed: int,
    directions: int,
    alignments: Sequence[str],
    model: str,
    model_settings: dict,
    dataset_folder: str | Path,
    partition: str | Path,
    connectivity: str,
    group: str,
    samples: int | None,
    seed: int,
    batch_norm: BatchNorm,
    device: str,
    resume: str | Path,
    fingerprint: str,
    out_layers: str | Path,
    out_distances: str | Path,
) -> None:
    """Write layers.csv and distances.csv of all pairs; killed at any moment and called again, it resumes.

    pairs: `{from, to, round, to_round, client, to_client}`: places in `runs` (identities), `trajectories` and
    `clients` (files; none unless between clients), rounds (`last`: the run's last), clients (None: the global
    model).
    regimes, order_seed, directions: see `layerwise_barriers`; groups: see `chosen_layers`. alignments: `none`
    as the models are, `weights` with the second one's units matched to the first's, `repair` and
    `weights-repair` the full average alone with its activations repaired. partition, samples, seed: whose
    train and test samples are used, at most so many of the first, chosen by the seed.
    fingerprint: digest of all that the job depends on; a folder `resume` of another one is emptied.
    A pair of which a model is missing (its run diverged before, its client did not take part) is left out
    with a note. Raises FedscapeError where units cannot be matched, or activations not repaired.
    """
    spec = ProblemSpec(Plugin(model, model_settings), dataset_folder, partition, samples, seed, device)
    problem = open_problem(spec)
    names = [[name for name, _ in entries] for entries in (problem.layout.parameters, problem.layout.buffers)]
    layers = chosen_layers(layers_of(*names), groups)
    # What cannot be done is said before anything is computed.
    matched = any(one.startswith("weights") for one in alignments)
    permutations = permutations_of(problem.module) if matched else None
    if any(one in alignments for one in REPAIRED.values()):
        check_repairable(problem.module)
    checkpoints = Checkpoints.open(
        problem.module, [RunFiles({}, *files) for files in zip_longest(trajectories, clients)]
    )
    options = (layers, regimes, order_seed, directions, batch_norm)
    tasks = [
        (pair, matching)
        for pair in pairs
        for matching, repaired_name in REPAIRED.items()
        if {matching, repaired_name}.intersection(alignments)
    ]
    with ResumeFolder(Resume(resume, fingerprint), valid=counts_to(len(tasks))) as folder:
        if done := folder.progress.get("done"):
            log.info("continuing after %d of %d", done, len(tasks))
        for number, (pair, matching) in enumerate(tqdm(tasks, disable=None) if not folder.finished else ()):
            if number < folder.progress.get("done", 0):
                continue
            if reason := folder.stop_requested():
                folder.stop(reason, f"{number} of {len(tasks)} averages of two models")
            if ends := endpoints(checkpoints, pair, problem.device):
                identity = _identity(runs, ends, connectivity, group, between)
                if matching == "none":
                    second, moved = ends[1].model, math.nan
                else:
                    second, moved = _matched(permutations, *ends, order_seed)
                kinds = [one for one in (matching, REPAIRED[matching]) if one in alignments]
                rows = _averaged(problem, ends[0].model, second, kinds, *options)
                lengths = _distances(ends, second, layers, matching, moved)
                for name, found, keys in ((LAYERS, rows, LAYER_ORDER), (DISTANCES, lengths, DISTANCE_ORDER)):
                    table = pd.DataFrame([{**identity, **row} for row in found])
                    write_csv(folder.folder / f"{number}-{name}", table, keys)
            parts = [path.name for path in folder.folder.glob(f"{number}-*")]
            folder.commit({"done": number + 1}, parts, adding=True)
            log.info("%d of %d", number + 1, len(tasks))
        if not folder.finished:
            _join(folder.folder, LAYERS, columns.LAYERS_CSV, LAYER_ORDER)
            _join(folder.folder, DISTANCES, columns.DISTANCES_CSV, DISTANCE_ORDER)
        folder.finish({LAYERS: out_layers, DISTANCES: out_distances})


def _identity(
    runs: Sequence[dict], ends: Sequence[Endpoint], connectivity: str, group: str, between: str
) -> dict:
    first, second = (end.checkpoint for end in ends)
    return {
        **runs[first.run],
        **columns.other_end(runs[second.run]),
        "connectivity": connectivity,
        "group": group,
        "between": between,
        "round": first.round,
        "to_round": second.round,
        "client": first.client_column,
        "to_client": second.client_column,
    }


def _matched(permutations: Permutations, first: Endpoint, second: Endpoint, seed: int) -> tuple[Model, int]:
    """The second model with its units matched to the first's, and how many of them moved."""
    found = match_weights(permutations, first.model[0], second.model[0], seed)
    parameters, buffers = (permuted(tensors, permutations, found) for tensors in second.model)
    return (parameters, buffers), units_moved(found)


def _averaged(
    problem: Problem,
    first: Model,
    second: Model,
    alignments: Sequence[str],
    layers: Mapping[str, tuple[str, ...]],
    regimes: Sequence[str],
    seed: int,
    directions: int,
    batch_norm: BatchNorm,
) -> list[dict]:
    """Rows of layers.csv of one pair, without the names of its ends."""
    data, policy = {"train": problem.train, "test": problem.test}, problem.policy(batch_norm)
    rows = []
    for alignment in alignments:
        if alignment in REPAIRED:
            found = layerwise_barriers(
                problem.module, first, second, data, layers, regimes, seed, directions, batch_norm
            )
        else:
            found = _repaired(problem.module, first, second, data, len(layers))
        rows += [{"alignment": alignment, **row, "batch_norm": policy} for row in found]
    return rows


def _repaired(
    module: nn.Module, first: Model, second: Model, data: Mapping[str, EvaluationSet], layers: int
) -> list[dict]:
    """Rows of the full average of two models whose activations are repaired."""

    def evaluated(parameters: Mapping[str, Tensor]) -> dict[str, Evaluation]:
        return {split: evaluate(module, parameters, first[1], samples) for split, samples in data.items()}

    ends = [evaluated(parameters) for parameters, _ in (first, second)]
    mean = {name: (tensor + second[0][name]) / 2 for name, tensor in first[0].items()}
    states = [{**parameters, **first[1]} for parameters in (mean, first[0], second[0])]
    with repaired(module, repair(module, *states, data["train"])):
        found = barrier_rows(evaluated(mean), *ends)
    whole = {"regime": "full", "layer": "", "depth": -1, "averaged": layers, "rest": "both", "draw": 0}
    return [{**whole, **row} for row in found]


def _distances(
    ends: Sequence[Endpoint],
    second: Model,
    layers: Mapping[str, tuple[str, ...]],
    matching: str,
    moved: float,
) -> list[dict]:
    """Rows of distances.csv; after matching, the second one's start is none to compare it with."""
    start = ends[1].start if matching == "none" else None
    rows = distances(ends[0].model[0], second[0], layers, ends[0].start, start)
    return [
        {"alignment": matching, **row, "units_moved": moved if row["layer"] == WHOLE else math.nan}
        for row in rows
    ]


def _join(folder: Path, name: str, file: File, order: Sequence[str]) -> None:
    """All pairs' rows of one kind in one file, sorted by pair, and within each in an order of their own."""
    parts = [read_csv(path, file.types) for path in sorted(folder.glob(f"*-{name}"))]
    table = pd.concat(parts) if parts else pd.DataFrame(columns=file.columns)
    write_csv(folder / name, table[file.columns], sort_by=[*file.names, *columns.MODELS, *order])
