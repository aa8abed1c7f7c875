"""One federated run, from its start to the files that the analyses read."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from fedscape.checkpoints.state_dicts import load_weights, read_weights, write_weights
from fedscape.errors import FedscapeError
from fedscape.evaluation.device import prepare_device
from fedscape.evaluation.evaluate import Evaluation
from fedscape.federated.lane_count import lane_count
from fedscape.federated.lanes import Lanes
from fedscape.federated.optimiser import moment_names
from fedscape.federated.participation import participants_per_round
from fedscape.federated.progress import ProgressDisplay, say
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
from fedscape.federated.rule import ClientResult, Rule, Training
from fedscape.federated.samples import RunSamples
from fedscape.federated.state import ModelState
from fedscape.federated.store import CLIENTS, ROUNDS, TIMING, TRAJECTORY, RunStore, continues
from fedscape.federated.weighting import INPUT_VARIANCE, input_variances
from fedscape.files import write_json
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.models.build import random_model
from fedscape.plugins import load
from fedscape.provenance import commit, versions

FINAL = "final.safetensors"
RUN = "run.json"


def train_run(
    *,
    identity: Mapping[str, object],
    dataset: str | Path,
    partition: str | Path,
    initial: str | Path,
    model: str,
    model_settings: Mapping[str, object],
    algorithm: str,
    algorithm_settings: Mapping[str, object],
    server: str,
    server_settings: Mapping[str, object],
    training: Training,
    seed: int,
    order_seed: int,
    keep_rounds: str | Mapping[str, int] | Sequence[int],
    client_rounds: Sequence[int],
    client_paths: bool,
    device: str,
    fingerprint: str,
    trajectory: str | Path,
    clients: str | Path,
    rounds: str | Path,
    final: str | Path,
    timing: str | Path,
    run: str | Path,
    resume: str | Path,
) -> None:
    """Train one run and write its six files; killed at any moment and called again, it resumes.

    identity: identifying columns of the tables. dataset: folder of a prepared data set. partition: .npz.
    initial: state_dict (.safetensors) of round 0.
    seed: of the client draws; order_seed: of the clients' sample orders.
    keep_rounds: rounds whose global model is kept: "all", {"every": k} or a list; 0 and the last always are.
    client_rounds: rounds (1 is the first) whose client models are kept as well; client_paths: also those
        models' states after each local epoch but the last.
    fingerprint: digest of all that the run depends on; a folder `resume` of another one is emptied.

    A run whose loss or model turns NaN or infinite ends with the last finite round; the row of the round
    after it in rounds.csv has `diverged` true and no measures, and all files are written. Raises
    FedscapeError on bad input, and SystemExit when told to stop (see `fedscape.jobs.resume`).
    """
    files = {TRAJECTORY: trajectory, CLIENTS: clients, ROUNDS: rounds, FINAL: final, TIMING: timing, RUN: run}
    with ResumeFolder(Resume(resume, fingerprint), valid=partial(continues, training.rounds)) as folder:
        if not folder.finished:
            code = commit()  # the one that trains, whatever happens to the clone meanwhile
            samples = RunSamples.open(dataset, partition, prepare_device(device, training.precision))
            module = random_model(model, dict(model_settings), samples.shape, samples.classes, seed)
            load_weights(module, read_weights(initial), initial)
            if not ModelState.of(module).is_finite():
                raise FedscapeError(f"{initial}: a weight is NaN or infinite; delete the file to rebuild it")
            data, count = samples.splits["train"], len(samples.clients)
            drawn = participants_per_round(count, training.participation)
            lanes = Lanes(module, data, training, lane_count(training, data, drawn), seed)
            for client, positions in enumerate(samples.clients):
                lanes.feed.check(client, len(positions))
            plugin, server_rule = load("federated.algorithms", algorithm), load("federated.servers", server)
            rule = Rule(plugin, plugin.Settings(**algorithm_settings))
            store = RunStore(
                folder=folder,
                layout=lanes.layout,
                kept=kept_rounds(keep_rounds, training.rounds),
                kept_clients=kept_client_rounds(client_rounds, training.rounds),
                participants=drawn,
                path_points=training.local_epochs - 1 if client_paths else 0,
                client_entries=kept_by_clients(training, rule, lanes.layout, moment_names(training)),
                clients=count,
            )
            with closing(store):
                federation = Federation(
                    lanes=lanes,
                    clients=samples.clients,
                    training=training,
                    rule=rule,
                    server=server_rule,
                    server_settings=server_rule.Settings(**server_settings),
                    store=store.client_state,
                    seed=seed,
                    order_seed=order_seed,
                    input_variances=_input_variances(lanes, samples),
                )
                state = _play(federation, samples, training, store, identity)
            lanes.state.copy_(state.model)
            write_weights(folder.folder / FINAL, module.state_dict())
            description = {
                "identity": dict(identity),
                "model": {"kind": model, **model_settings},
                "algorithm": {"kind": algorithm, **algorithm_settings},
                "server": {"kind": server, **server_settings},
                "training": asdict(training),
                "lanes": lanes.lanes,
                "seed": seed,
                "order_seed": order_seed,
                "clients": count,
                "samples": sum(map(len, samples.clients)),
                "parameters": lanes.layout.parameter_count,
                "rounds": store.round,
                "diverged": store.diverged,
                "fingerprint": fingerprint,
                **code,
                **versions(),
                **machine(lanes.device),
                **totals(folder.folder / TIMING),
                "started": store.started,
                "ended": now(),
            }
            write_json(folder.folder / RUN, description)
        folder.finish(files)


def kept_rounds(keep: str | Mapping[str, int] | Sequence[int], rounds: int) -> list[int]:
    """Rounds whose global model is kept, ascending; 0 and `rounds` are always among them."""
    if keep == "all":
        return list(range(rounds + 1))
    chosen = range(0, rounds + 1, keep["every"]) if isinstance(keep, Mapping) else keep
    return _checked({0, *chosen, rounds}, 0, rounds, "keep_rounds")


def kept_client_rounds(chosen: Sequence[int], rounds: int) -> list[int]:
    """Rounds whose client models are kept, ascending."""
    return _checked(set(chosen), 1, rounds, "client_rounds")


def _checked(chosen: set[int], first: int, last: int, key: str) -> list[int]:
    for number in chosen:
        if not first <= number <= last:
            raise FedscapeError(f"{key}: no round {number}; allowed are {first} to {last}")
    return sorted(chosen)


def _input_variances(lanes: Lanes, samples: RunSamples) -> np.ndarray | None:
    """Variance of each client's normalised images, where the aggregation weights ask for it."""
    if lanes.training.weights != INPUT_VARIANCE:
        return None
    deviations = [lanes.feed.normalisation(positions)[1] for positions in samples.clients]
    return input_variances(samples.splits["train"], samples.clients, torch.stack(deviations))


def _play(
    federation: Federation,
    samples: RunSamples,
    training: Training,
    store: RunStore,
    identity: Mapping[str, object],
) -> GlobalState:
    """Play the rounds that are left; returns the state after the last finite one."""
    lanes, folder = federation.lanes, store.folder

    def evaluate_state(state: GlobalState, number: int) -> tuple[dict[str, Evaluation], float]:
        begin = time.perf_counter()
        evaluations = samples.evaluate(lanes.module, state.model, lanes.layout)
        for split, evaluation in evaluations.items():
            # An average that nobody goes on from may be of no use without harm to the run.
            if not math.isfinite(evaluation.loss) and is_averaged_after(training, number):
                raise Diverged(f"the {split} loss of the global model is {evaluation.loss}")
        return evaluations, time.perf_counter() - begin

    def on_client(place: int, result: ClientResult) -> None:
        store.add_client(number, place, result)

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
