"""A federation in memory, of milliseconds, for the tests of client rules."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from engine_helpers import owned
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import Layout, buffers_of, parameters_of
from fedscape.evaluation.batch_norm import recalibrated
from fedscape.evaluation.evaluate import EvaluationSet, evaluate, normalise
from fedscape.federated.aggregation_weights import INPUT_VARIANCE, input_variances
from fedscape.federated.client_store import ClientStore
from fedscape.federated.lanes import Lanes
from fedscape.federated.optimiser import moment_names
from fedscape.federated.rounds import (
    Federation,
    GlobalState,
    RoundReport,
    first_state,
    kept_by_clients,
    play_round,
)
from fedscape.federated.rule import ClientResult, Context, Rule
from fedscape.federated.state import ModelState
from fedscape.models.build import random_model
from fedscape.plugins import load
from fedscape.settings.training import TrainingSettings

SHAPE, CLASSES = (1, 8, 8), 3
RESIDUAL = {"blocks": [1, 1, 1], "width": 8}
"""Settings of the network `resnet` with batch norm; `GROUPED` has a norm without statistics."""
GROUPED = RESIDUAL | {"norm": "group"}
SIZES = (9, 3, 6, 4)
"""Samples of the clients: unequal, one with fewer than a batch, one with a short last batch of one sample."""
SEED, ORDER_SEED = 7, 0
TRAINING = TrainingSettings(rounds=2, batch_size=4, lr=1e-3)


@dataclass(frozen=True)
class Played:
    """What some rounds gave."""

    states: list[GlobalState]  # the start, then one after each round
    reports: list[RoundReport]
    results: list[dict[int, ClientResult]]  # per round those of its participants, copied
    kept: list[list[dict[str, Tensor]]]  # per round what every client kept after it, by name
    clients: tuple[np.ndarray, ...]
    layout: Layout

    @property
    def parameters(self) -> Tensor:
        """The global models' parameters [1 + rounds, P]."""
        return torch.stack([state.model.parameters for state in self.states])


def rule(algorithm: str, **settings: object) -> Rule:
    plugin = load("federated.algorithms", algorithm)
    return Rule(plugin, plugin.Settings(**settings))


def network(settings: dict = RESIDUAL, seed: int = 0) -> nn.Module:
    return random_model("resnet", settings, SHAPE, CLASSES, seed)


def samples(count: int, seed: int = 0) -> EvaluationSet:
    """Random images whose brightness tells the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    noise = torch.randint(0, 100, (count, *SHAPE), generator=generator)
    images = (noise + 50 * labels[:, None, None, None]).to(torch.uint8)
    return EvaluationSet(images, labels, torch.tensor([0.4]), torch.tensor([0.25]))


def play(
    algorithm: str,
    settings: dict | None = None,
    *,
    model: dict = RESIDUAL,
    clients: Sequence[np.ndarray] | None = None,
    sizes: Sequence[int] = SIZES,
    lanes: int = 1,
    server: str = "average",
    server_settings: dict | None = None,
    reordered: Callable[[list], list] | None = None,
    **training: object,
) -> Played:
    """Rounds of an algorithm.

    clients: the positions that each owns, if not neighbours of the given sizes. reordered: in which order the
    lanes are handed a round's clients. training: changes of TRAINING; weights are the rule's own, as in a study.
    """
    client_rule = rule(algorithm, **(settings or {}))
    usual = vars(TRAINING) | {"weights": getattr(client_rule.module, "WEIGHTS", "size")}
    training = TrainingSettings(**usual | training)
    getattr(client_rule.settings, "check", lambda _: None)(training)
    clients = owned(*sizes) if clients is None else tuple(clients)
    data = samples(sum(map(len, clients)))
    lane_set = Lanes(network(model), data, training, lanes, SEED)
    if reordered:
        train = lane_set.train
        lane_set.train = lambda starts, *others: train(reordered(starts), *others)
    plugin = load("federated.servers", server)
    entries = kept_by_clients(training, client_rule, lane_set.layout, moment_names(training))
    played = Played([first_state(lane_set, client_rule)], [], [], [], clients, lane_set.layout)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(ClientStore(Path(folder) / "clients", entries, len(clients))) as store,
    ):
        federation = Federation(
            lanes=lane_set,
            clients=clients,
            training=training,
            rule=client_rule,
            server=plugin,
            server_settings=plugin.Settings(**(server_settings or {})),
            store=store,
            seed=SEED,
            order_seed=ORDER_SEED,
            input_variances=input_variances(data, clients) if training.weights == INPUT_VARIANCE else None,
        )
        for number in range(1, training.rounds + 1):
            results: dict[int, ClientResult] = {}

            def on_client(place: int, result: ClientResult, results=results) -> None:
                fields = vars(result) | {"model": result.model.clone()}
                results[result.client] = ClientResult(**fields)

            state, report = play_round(federation, number, played.states[-1], on_client)
            store.commit()
            played.states.append(state)
            played.reports.append(report)
            played.results.append(results)
            played.kept.append([store.read(client) for client in range(len(clients))])
    return played


def loss_of(played: Played, number: int, model: dict = RESIDUAL) -> float:
    """Mean loss over all samples of the global model after a round, its batch norm measured anew."""
    state, data = played.states[number].model, samples(sum(map(len, played.clients)))
    module, parameters = network(model), parameters_of(state.parameters, played.layout)
    buffers = buffers_of(state.buffers, state.counters, played.layout)
    return evaluate(module, parameters, recalibrated(module, parameters, buffers, data), data).loss


def context_of(client_rule: Rule, module: nn.Module, layout: Layout, **changes: object) -> Context:
    """The context of a first round that starts from a module."""
    fields = {
        "settings": client_rule.settings,
        "training": TRAINING,
        "round": 1,
        "clients": len(SIZES),
        "start": ModelState.of(module),
        "layout": layout,
        "shared": {},
    }
    return Context(**fields | changes)


def gradient_of(module: nn.Module, data: EvaluationSet, positions: np.ndarray) -> Callable[[Tensor], Tensor]:
    """The gradient [P] of the mean cross-entropy of some samples as a function of the parameters [P]."""
    names = {name: parameter.shape for name, parameter in module.named_parameters()}
    images, labels = normalise(data.inputs[positions], data.mean, data.std), data.labels[positions]

    def gradient(vector: Tensor) -> Tensor:
        vector = vector.detach().clone().requires_grad_()
        pieces = vector.split([shape.numel() for shape in names.values()])
        tensors = {name: piece.view(names[name]) for name, piece in zip(names, pieces, strict=True)}
        return torch.autograd.grad(
            cross_entropy(functional_call(module, tensors, (images,)), labels), vector
        )[0]

    return gradient
