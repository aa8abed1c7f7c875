"""One communication round: draw clients, train them in lanes, gather, let the server step."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.evaluation.update_statistics import UpdateAgreement, UpdateStatistics
from fedscape.federated import pruning
from fedscape.federated.aggregate import Gathering
from fedscape.federated.aggregation_weights import update_variance, weight
from fedscape.federated.batches import ClientTask, client_task
from fedscape.federated.client_store import ClientStore
from fedscape.federated.lanes import ClientStart, Lanes
from fedscape.federated.participation import participants
from fedscape.federated.rule import Client, ClientResult, Context, Rule, Vectors
from fedscape.federated.state import ModelState
from fedscape.settings.training import TrainingSettings

MODEL, OPTIMISER, RULE = "model.", "optimiser.", "rule."  # prefixes of what a client keeps
STEPS = OPTIMISER + "steps"


@dataclass(frozen=True)
class Federation:
    """Clients, method and seeds of a run, the same in all of its rounds."""

    lanes: Lanes
    clients: tuple[np.ndarray, ...]  # per client the positions of its samples in the lanes' images
    training: TrainingSettings
    rule: Rule
    server: ModuleType
    server_settings: object
    store: ClientStore  # of `kept_by_clients`
    seed: int  # of the client draws, augmentation and the rule
    order_seed: int  # of the sample orders
    input_variances: np.ndarray | None = None  # [N], where the aggregation weights ask for them

    @cached_property
    def mean_size(self) -> float:
        """Samples of a client, mean over all."""
        return sum(map(len, self.clients)) / len(self.clients)


@dataclass(frozen=True)
class GlobalState:
    """The state between two rounds: the global model, and what server and rule remember."""

    model: ModelState
    server: dict[str, Tensor] = field(default_factory=dict)
    shared: Vectors = field(default_factory=dict)  # the rule's
    kept: Tensor | None = None  # bool [P], the weights that pruning leaves; None before it begins
    steps: int = 0  # the clock in local steps: the most that a client took, summed over rounds

    def to(self, device: torch.device) -> "GlobalState":
        def moved(vectors: Vectors) -> dict[str, Tensor]:
            return {name: value.to(device) for name, value in vectors.items()}

        kept = None if self.kept is None else self.kept.to(device)
        return GlobalState(self.model.to(device), moved(self.server), moved(self.shared), kept, self.steps)

    def is_finite(self) -> bool:
        """Whether nothing in it is NaN or infinite."""
        remembered = (*self.server.values(), *self.shared.values())
        return self.model.is_finite() and all(bool(torch.isfinite(vector).all()) for vector in remembered)


@dataclass(frozen=True)
class RoundReport:
    """Statistics of a round, as rounds.csv has them."""

    clients: int  # that took part
    samples: int  # they have together
    client_loss: float  # mean over these samples of the local objective during training
    agreement: UpdateAgreement  # of the clients' updates


class Diverged(Exception):
    """A loss or the global model is NaN or infinite."""


def first_state(lanes: Lanes, rule: Rule) -> GlobalState:
    """The state before round 1: the lanes' present model, and a rule that remembers nothing."""
    lengths = rule.shared_state(lanes.layout)
    shared = {name: torch.zeros(length, device=lanes.device) for name, length in lengths.items()}
    return GlobalState(lanes.state.clone(), shared=shared)


def kept_by_clients(training: TrainingSettings, rule: Rule, layout: Layout, moments: tuple[str, ...]) -> dict:
    """The vectors that each client keeps between rounds: name -> type, length.

    The rule's vectors; its optimiser if that is kept, or if not every round averages; and then its model too.
    """
    entries = {RULE + name: (torch.float32, length) for name, length in rule.client_state(layout).items()}
    own_model = training.average_every != 1
    if own_model or training.optimiser_state == "keep":
        entries |= {OPTIMISER + name: (torch.float32, layout.parameter_count) for name in moments}
        entries[STEPS] = (torch.int64, 1)
    if own_model:
        entries[MODEL + "parameters"] = (torch.float32, layout.parameter_count)
        entries[MODEL + "buffers"] = (torch.float32, layout.buffer_count)
        entries[MODEL + "counters"] = (torch.int64, layout.counter_count)
    return entries


def play_round(
    federation: Federation,
    number: int,
    state: GlobalState,
    on_client: Callable[[int, ClientResult], None],
    keep_paths: bool = False,
    on_tick: Callable[[], None] = lambda: None,
) -> tuple[GlobalState, RoundReport]:
    """Play round `number` (1 is the first) from `state`; neither `state` nor its tensors change.

    on_client: called with every result and its position among the round's clients (ascending numbers), while
        the result's model is valid.
    keep_paths: whether results have the client's models between its epochs.
    on_tick: called between steps; what it raises ends the round.
    What clients keep is written to the store, whose `commit` is left to the caller. If clients continue with
    their own models after the round, the global model is the average that nobody starts from.
    Raises Diverged, with the client in its message.
    """
    lanes, rule = federation.lanes, federation.rule
    context = Context(
        settings=rule.settings,
        training=federation.training,
        round=number,
        clients=len(federation.clients),
        start=state.model,
        layout=lanes.layout,
        shared=state.shared,
    )
    drawn = participants(federation.seed, number, len(federation.clients), federation.training.participation)
    tasks = [
        client_task(
            federation.training,
            rule.name,
            federation.clients[client],
            federation.seed,
            federation.order_seed,
            number,
            client,
            keep_paths,
        )
        for client in drawn.tolist()
    ]

    def begin(task: ClientTask) -> ClientStart:
        return _start(federation, task, context)

    gathering, samples, loss_sum, longest = Gathering(state.model), 0, 0.0, 0
    updates = UpdateStatistics(state.model.parameters, len(drawn))
    squares = torch.zeros((), dtype=torch.float64, device=lanes.device)  # of the updates' norms, weighted
    weights = 0.0
    pruning_mask = (state.kept, state.steps)
    for start, result in lanes.train(tasks, begin, rule, context, pruning_mask, on_tick):
        if not math.isfinite(result.loss):
            raise Diverged(f"client {result.client}: the loss is {result.loss}")
        if not result.model.is_finite():
            raise Diverged(f"client {result.client}: the model is not finite")
        contribution = rule.after_client(result, start.client, context)
        _keep(federation, result, start, contribution.state)
        importance = _weight(federation, result)
        gathering.add(result.model, importance, contribution)
        squares += importance * updates.add(result.model.parameters).square()
        weights += importance
        samples += result.samples
        loss_sum += result.loss * result.samples
        longest = max(longest, result.steps)
        on_client(int(np.searchsorted(drawn, result.client)), result)
    gathered = gathering.gathered()
    target, shared = rule.aggregate(gathered, context)
    if hasattr(federation.server, "extrapolate"):
        target = federation.server.extrapolate(
            federation.server_settings, state.model.parameters, target, squares / weights
        )
    parameters, server_state = federation.server.step(
        federation.server_settings, state.model.parameters, target, state.server
    )
    steps = state.steps + longest
    kept = _kept(federation, number, steps, parameters, state)
    if kept is not None:
        parameters = parameters * kept
    model = ModelState(parameters, gathered.model.buffers, gathered.model.counters)
    following = GlobalState(model, server_state, shared, kept, steps)
    if not following.is_finite():
        raise Diverged("server: the averaged model or what the server remembers is not finite")
    return following, RoundReport(len(drawn), samples, loss_sum / samples, updates.agreement())


def is_averaged_after(training: TrainingSettings, number: int) -> bool:
    """Whether clients continue from the global model after round `number` (0: the start), not their own."""
    every = training.average_every
    return number == 0 or (every != "never" and number % every == 0)


def _start(federation: Federation, task: ClientTask, context: Context) -> ClientStart:
    """The start of a client, on the device."""
    training, rule, device = federation.training, federation.rule, federation.lanes.device
    kept = {name: vector.to(device) for name, vector in federation.store.read(task.client).items()}
    client = Client(
        share=torch.tensor(len(task.positions) / federation.mean_size, device=device),
        known=torch.tensor(float(federation.store.knows(task.client)), device=device),
        state=_under(RULE, kept),
    )
    averaged = is_averaged_after(training, context.round - 1)
    model = rule.start(client, context) if averaged else ModelState(**_under(MODEL, kept))
    fresh = STEPS not in kept or (averaged and training.optimiser_state == "reset")
    moments = {} if fresh else _under(OPTIMISER, kept)
    steps = 0 if fresh else int(moments.pop("steps"))
    gradient = None
    if rule.wants_full_gradient:
        gradient = federation.lanes.start_gradient(model, task, client, rule, context)
    return ClientStart(model, client, moments, steps, gradient)


def _keep(federation: Federation, result: ClientResult, start: ClientStart, state: Vectors) -> None:
    """Write what a client keeps."""
    if not federation.store:
        return
    kept = {RULE + name: vector for name, vector in state.items()}
    kept |= {OPTIMISER + name: vector for name, vector in result.moments.items()}
    kept[STEPS] = torch.tensor([start.steps_before + result.steps])
    kept |= {MODEL + name: vector for name, vector in vars(result.model).items()}
    federation.store.write(result.client, kept)


def _weight(federation: Federation, result: ClientResult) -> float:
    variance = math.nan
    if federation.input_variances is not None:
        variance = float(federation.input_variances[result.client])
    elif result.gradient_sum is not None:
        variance = update_variance(result.gradient_squares, result.gradient_sum, result.steps)
    return weight(federation.training.weights, result.samples, variance)


def _kept(
    federation: Federation, number: int, steps: int, parameters: Tensor, before: GlobalState
) -> Tensor | None:
    """The weights that pruning leaves in the global model after a round.

    Where pruning counts steps, the mask is recomputed if one was due in the round, the clients' being masks
    of their own models. The clock only goes forward, so the mask never holds more than before.
    """
    settings = federation.training.pruning
    if settings is None:
        return None
    first, last = (number, number) if settings.unit == "round" else (before.steps + 1, steps)
    time = pruning.last_due(settings, last)
    if time is None or time < first:
        return before.kept
    return pruning.mask(parameters, federation.lanes.layout, pruning.sparsity(settings, time))


def _under(prefix: str, vectors: Vectors) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): vector for name, vector in vectors.items() if name.startswith(prefix)}
