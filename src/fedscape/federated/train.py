"""One federated run, from its start to the files that the analyses read."""

import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from fedscape.checkpoints.run_files import RunOutputs
from fedscape.checkpoints.state_dicts import load_weights, read_weights, write_weights
from fedscape.errors import FedscapeError
from fedscape.evaluation.device import prepare_device
from fedscape.evaluation.evaluate import Evaluation
from fedscape.federated.aggregation_weights import INPUT_VARIANCE, input_variances
from fedscape.federated.lane_count import lane_count
from fedscape.federated.lanes import Lanes
from fedscape.federated.optimiser import moment_names
from fedscape.federated.participation import participants_per_round
from fedscape.federated.progress_display import ProgressDisplay
from fedscape.federated.records import machine, now, rounds_row, timing_row, totals
from fedscape.federated.rounds import (
    Diverged,
    Federation,
    GlobalState,
    first_state,
    is_averaged_after,
    kept_by_clients,
    play_round,
)
from fedscape.federated.rule import ClientResult, Rule
from fedscape.federated.run_samples import RunSamples
from fedscape.federated.run_store import CLIENTS, ROUNDS, TIMING, TRAJECTORY, RunStore, continues
from fedscape.federated.state import ModelState
from fedscape.files import write_json
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.jobs.resume_state import say
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.provenance import commit, versions
from fedscape.settings.runs import KeptModels, RunSeeds
from fedscape.settings.training import TrainingSettings

FINAL = "final.safetensors"
RUN = "run.json"


@dataclass(frozen=True)
class RunInputs:
    """Files that a run starts from."""

    dataset: str | Path  # folder of a prepared data set
    partition: str | Path  # .npz
    initial: str | Path  # .safetensors: the state_dict of round 0


@dataclass(frozen=True)
class FederatedMethod:
    """Client rule, server rule and training settings of a run."""

    algorithm: Plugin
    server: Plugin
    training: TrainingSettings


def train_run(
    *,
    identity: Mapping[str, object],
    inputs: RunInputs,
    model: Plugin,
    method: FederatedMethod,
    seeds: RunSeeds,
    kept: KeptModels,
    outputs: RunOutputs,
    resume: Resume,
    device: str = "cpu",
) -> None:
    """Train one run and write its six files; killed at any moment and called again, it resumes.

    identity: identifying columns of the tables.

    A run whose loss or model turns NaN or infinite ends with the last finite round; the row of the round
    after it in rounds.csv has `diverged` true and no measures, and all files are written. Raises
    FedscapeError on bad input, and SystemExit when told to stop (see `fedscape.jobs.resume`).
    """
    training = method.training
    with ResumeFolder(resume, valid=partial(continues, training.rounds)) as folder:
        if not folder.finished:
            code = commit()  # the one that trains, whatever happens to the clone meanwhile
            samples = RunSamples.open(
                inputs.dataset, inputs.partition, prepare_device(device, training.precision)
            )
            lanes = _lanes(model, samples, training, seeds.seed, inputs.initial)
            algorithm, algorithm_settings = method.algorithm.load("federated.algorithms")
            server, server_settings = method.server.load("federated.servers")
            rule = Rule(algorithm, algorithm_settings)
            clients = len(samples.clients)
            store = RunStore(
                folder=folder,
                layout=lanes.layout,
                kept=kept.global_rounds(training.rounds),
                kept_clients=kept.rounds_of_clients(training.rounds),
                participants=participants_per_round(clients, training.participation),
                path_points=_path_points(kept, training),
                client_entries=kept_by_clients(training, rule, lanes.layout, moment_names(training)),
                clients=clients,
            )
            with closing(store):
                federation = Federation(
                    lanes=lanes,
                    clients=samples.clients,
                    training=training,
                    rule=rule,
                    server=server,
                    server_settings=server_settings,
                    store=store.client_state,
                    seed=seeds.seed,
                    order_seed=seeds.order_seed,
                    input_variances=_input_variances(lanes, samples),
                )
                state = _play(federation, samples, store, identity)
            lanes.state.copy_(state.model)
            write_weights(folder.folder / FINAL, lanes.module.state_dict())
            description = {
                "identity": dict(identity),
                "model": model.keys,
                "algorithm": method.algorithm.keys,
                "server": method.server.keys,
                "training": asdict(training),
                "lanes": lanes.lanes,
                **asdict(seeds),
                "clients": clients,
                "samples": sum(map(len, samples.clients)),
                "parameters": lanes.layout.parameter_count,
                "rounds": store.round,
                "diverged": store.diverged,
                "fingerprint": resume.fingerprint,
                **code,
                **versions(),
                **machine(lanes.device),
                **totals(folder.folder / TIMING),
                "started": store.started,
                "ended": now(),
            }
            write_json(folder.folder / RUN, description)
        folder.finish(_by_file(outputs))


def _by_file(outputs: RunOutputs) -> dict[str, str | Path]:
    """Paths by the files' names in the resume folder."""
    return {
        TRAJECTORY: outputs.trajectory,
        CLIENTS: outputs.clients,
        ROUNDS: outputs.rounds,
        FINAL: outputs.final,
        TIMING: outputs.timing,
        RUN: outputs.run,
    }


def _path_points(kept: KeptModels, training: TrainingSettings) -> int:
    """Models that are kept of a client between its local epochs."""
    epochs = training.local_epochs
    if not kept.client_paths:
        return 0
    if not isinstance(epochs, int):
        raise FedscapeError(f"client_paths: needs local_epochs that are a number, got {epochs}")
    return epochs - 1


def _lanes(
    model: Plugin, samples: RunSamples, training: TrainingSettings, seed: int, initial: str | Path
) -> Lanes:
    """The lanes that train, with the run's start loaded; clients that they cannot train are refused."""
    module = random_model(model.kind, dict(model.settings), samples.shape, samples.classes, seed)
    load_weights(module, read_weights(initial), initial)
    if not ModelState.of(module).is_finite():
        raise FedscapeError(f"{initial}: a weight is NaN or infinite; delete the file to rebuild it")
    data = samples.splits["train"]
    participants = participants_per_round(len(samples.clients), training.participation)
    lanes = Lanes(module, data, training, lane_count(training, data, participants), seed)
    for client, positions in enumerate(samples.clients):
        lanes.source.check(client, len(positions))
    return lanes


def _input_variances(lanes: Lanes, samples: RunSamples) -> np.ndarray | None:
    """Variance of each client's normalised images, where the aggregation weights ask for it."""
    if lanes.training.weights != INPUT_VARIANCE:
        return None
    deviations = [lanes.source.normalisation(positions)[1] for positions in samples.clients]
    return input_variances(samples.splits["train"], samples.clients, torch.stack(deviations))


def _play(
    federation: Federation,
    samples: RunSamples,
    store: RunStore,
    identity: Mapping[str, object],
) -> GlobalState:
    """Play the rounds that are left; returns the state after the last finite one."""
    lanes, training, folder = federation.lanes, federation.training, store.folder

    def evaluate_state(state: GlobalState, number: int) -> tuple[dict[str, Evaluation], float]:
        begin = time.perf_counter()
        evaluations = samples.evaluate(lanes.module, state.model, lanes.layout)
        for split, evaluation in evaluations.items():
            # An average that no client continues from may be useless without harm to the run.
            if not math.isfinite(evaluation.loss) and is_averaged_after(training, number):
                raise Diverged(f"the {split} loss of the global model is {evaluation.loss}")
        return evaluations, time.perf_counter() - begin

    def on_client(position: int, result: ClientResult) -> None:
        store.add_client(number, position, result)

    def on_tick() -> None:
        # A signal leaves little time: the round is given up, not played to its end.
        if folder.signalled:
            folder.stop(folder.signalled, f"round {store.round}")

    if store.state is None:
        state = first_state(lanes, federation.rule)
        try:
            evaluations, seconds = evaluate_state(state, 0)
        except Diverged as reason:
            raise FedscapeError(f"the initial weights are of no use: {reason}") from reason
        row = rounds_row(identity, 0, evaluations=evaluations)
        store.commit(0, state, row, timing_row(identity, 0, 0.0, seconds, lanes.device))
    else:
        state = store.state.to(lanes.device)
        say(f"continuing after round {store.round}")
    display = ProgressDisplay(training.rounds, store.round)
    while store.round < training.rounds and not store.diverged:
        if reason := folder.stop_requested():
            folder.stop(reason, f"round {store.round}")
        number, begin = store.round + 1, time.perf_counter()
        evaluations, evaluation_seconds = {}, 0.0
        try:
            paths = store.keeps_paths(number)
            following, report = play_round(federation, number, state, on_client, paths, on_tick)
            seconds = time.perf_counter() - begin
            if number % training.evaluate_every == 0 or number == training.rounds:
                evaluations, evaluation_seconds = evaluate_state(following, number)
        except Diverged as reason:
            message = f"round {number}, {reason}"
            say(f"diverged: {message}; the run ends with round {store.round}")
            store.commit_divergence(message, state, rounds_row(identity, number, diverged=True))
            break
        state = following
        row = rounds_row(identity, number, report, evaluations)
        store.commit(
            number, state, row, timing_row(identity, number, seconds, evaluation_seconds, lanes.device)
        )
        display.step(number, row)
    display.close()
    return state
