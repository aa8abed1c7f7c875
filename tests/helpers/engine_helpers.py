"""Federations of seconds, and the loop in plain PyTorch that the engine is compared with."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from small_run import CLASSES, SHAPE
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fedscape.evaluation.evaluate import EvaluationSet, normalise
from fedscape.federated.algorithms import fedavg
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
from fedscape.federated.rule import Client, ClientResult, Context, Rule
from fedscape.federated.servers import average
from fedscape.federated.state import ModelState
from fedscape.jobs.streams import stream
from fedscape.models.build import random_model
from fedscape.settings.training import TrainingSettings

SAMPLES = 23
KINKED = 0.1  # share of the parameters of a small network that a unit or two reach
TRAINING = TrainingSettings(rounds=1, local_epochs=3, batch_size=5, lr=0.05)


def images_and_labels(samples: int = SAMPLES, shape=SHAPE) -> EvaluationSet:
    """Random images; the same first ones however many there are."""
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, shape, dtype=np.uint8) for _ in range(samples)]
    return EvaluationSet(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(np.random.default_rng(1).integers(0, len(CLASSES), samples)),
        mean=torch.full((shape[0],), 0.4),
        std=torch.full((shape[0],), 0.3),
    )


def network(name: str = "convnet", **settings: object) -> nn.Module:
    """A model with the same weights at each call; "linear" is the smallest."""
    if name == "linear":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(SHAPE)), len(CLASSES)))
    return random_model(name, settings, SHAPE, len(CLASSES), seed=0)


def owned(*sizes: int) -> tuple[np.ndarray, ...]:
    """Positions of clients of these sizes, one after the other."""
    return tuple(np.arange(first, last) for first, last in pairwise(np.cumsum([0, *sizes])))


def federation(
    folder: Path,
    lanes: Lanes,
    clients: Sequence[np.ndarray],
    algorithm: ModuleType = fedavg,
    server: ModuleType = average,
    **changes: object,
) -> Federation:
    """Clients that train in `lanes` and keep what they keep in `folder`."""
    training, rule = lanes.training, Rule(algorithm, algorithm.Settings())
    entries = kept_by_clients(training, rule, lanes.layout, moment_names(training))
    values = {
        "store": ClientStore(folder / "client-state.bin", entries, len(clients)),
        "seed": 0,
        "order_seed": 0,
        **changes,
    }
    return Federation(lanes, tuple(clients), training, rule, server, server.Settings(), **values)


@dataclass
class Played:
    """What came of some rounds; the lists have an entry per round."""

    states: list[GlobalState]  # the first is the start
    reports: list[RoundReport] = field(default_factory=list)
    models: list[dict[int, ModelState]] = field(default_factory=list)  # of each participant
    results: list[dict[int, ClientResult]] = field(default_factory=list)  # not their tensors

    @property
    def parameters(self) -> list[Tensor]:
        """Global parameters, the start's first."""
        return [state.model.parameters for state in self.states]


def play(
    federation: Federation,
    rounds: int = 1,
    keep_paths: bool = False,
    watch: Callable[[int, int, ClientResult], None] = lambda number, place, result: None,
) -> Played:
    """Rounds 1 to `rounds` from the lanes' present model; then the clients' store is closed."""
    played = Played([first_state(federation.lanes, federation.rule)])
    with closing(federation.store) as store:
        for number in range(1, rounds + 1):
            models, results = {}, {}

            def on_client(place, result, number=number, models=models, results=results):
                models[result.client], results[result.client] = result.model.clone(), result
                watch(number, place, result)

            state, report = play_round(federation, number, played.states[-1], on_client, keep_paths)
            store.commit()
            played.states.append(state)
            played.reports.append(report)
            played.models.append(models)
            played.results.append(results)
    return played


def channels_last(images: Tensor) -> Tensor:
    """Images as a lane has them. Another format rounds otherwise, and a ReLU makes much of that: after tens
    of steps with momentum one near zero has gone the other way."""
    return torch.empty_like(images, memory_format=torch.channels_last).copy_(images)


def assert_close_but_for_kinks(actual: Tensor, expected: Tensor, rtol: float, atol: float) -> None:
    """Equal up to rounding, but for a few values: those behind a ReLU whose input rounding has moved across zero.

    Whether there is one depends on the processor. A wrong formula changes all values.
    """
    differ = ~torch.isclose(actual, expected, rtol=rtol, atol=atol)
    assert differ.float().mean() < KINKED
    torch.testing.assert_close(actual, expected, rtol=0, atol=100 * atol)


def context_of(lanes: Lanes, rule: Rule, number: int = 1, clients: int = 1) -> Context:
    """What a rule is told in a round that starts from the lanes' present model."""
    state = first_state(lanes, rule)
    return Context(rule.settings, lanes.training, number, clients, state.model, lanes.layout, state.shared)


def newcomer(lanes: Lanes, rule: Rule) -> Client:
    """A client that has never taken part."""
    lengths = rule.client_state(lanes.layout)
    state = {name: torch.zeros(length) for name, length in lengths.items()}
    return Client(torch.tensor(1.0), torch.tensor(0.0), state)


class PlainClient:
    """A client as anybody would write it: a module and an optimiser of torch.optim."""

    def __init__(self, module: nn.Module, data: EvaluationSet, training: TrainingSettings):
        self.module, self.data, self.training = module, data, training
        self.renew_optimiser()

    def renew_optimiser(self) -> None:
        training, parameters = self.training, list(self.module.parameters())
        if training.optimiser == "adamw":
            self.optimiser = torch.optim.AdamW(parameters, lr=training.lr, weight_decay=training.weight_decay)
        else:
            self.optimiser = torch.optim.SGD(
                parameters,
                lr=training.lr,
                momentum=training.momentum,
                nesterov=training.nesterov,
                weight_decay=training.weight_decay,
            )

    def train(
        self,
        positions: np.ndarray,
        number: int = 1,
        client: int = 0,
        after_step: Callable[[], None] = lambda: None,
    ) -> float:
        """A round's work; the mean loss over the samples stepped on."""
        order, training = stream(0, "order", number, client), self.training
        self.module.train()
        losses, counts = [], []
        for _ in range(training.local_epochs):
            shuffled = positions[order.permutation(len(positions))]
            for batch in torch.from_numpy(shuffled).split(training.batch_size):
                if training.drop_last and len(batch) < training.batch_size:
                    continue
                self.optimiser.zero_grad()
                images = channels_last(normalise(self.data.inputs[batch], self.data.mean, self.data.std))
                loss = cross_entropy(self.module(images), self.data.labels[batch])
                loss.backward()
                if training.clip:
                    torch.nn.utils.clip_grad_norm_(self.module.parameters(), training.clip)
                self.optimiser.step()
                after_step()
                losses.append(loss.item())
                counts.append(len(batch))
        return float(np.average(losses, weights=counts))

    @property
    def model(self) -> ModelState:
        return ModelState.of(self.module)
