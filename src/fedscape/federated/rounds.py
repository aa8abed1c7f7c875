"""One communication round: draw clients, train them in lanes, average, let the server step."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from fedscape.federated.aggregate import WeightedMean
from fedscape.federated.lanes import ClientResult, ClientTask, Lane, order_stream
from fedscape.federated.participation import participants
from fedscape.federated.state import ModelState
from fedscape.models.layout import parameters_of


@dataclass(frozen=True)
class Context:
    """What an algorithm's functions may know beyond their own arguments."""

    settings: object  # the algorithm's own Settings
    round: int  # 1 for the first
    start: Mapping[str, Tensor]  # the round's global parameters w_t by name; not to be changed


@dataclass(frozen=True)
class Federation:
    """What stays the same in all rounds of a run."""

    lane: Lane
    clients: tuple[np.ndarray, ...]  # per client the positions of its samples in the lane's images
    participation: float
    algorithm: ModuleType
    algorithm_settings: object
    server: ModuleType
    server_settings: object
    seed: int  # of the client draws
    order_seed: int  # of the sample orders


@dataclass(frozen=True)
class GlobalState:
    """What the next round needs: the global model and the server's memory."""

    model: ModelState
    server: dict[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device) -> "GlobalState":
        return GlobalState(
            self.model.to(device), {name: value.to(device) for name, value in self.server.items()}
        )


@dataclass(frozen=True)
class RoundReport:
    """What a round was like."""

    clients: int  # that took part
    samples: int  # they have together
    client_loss: float  # mean over these samples of the local objective during training


class Diverged(Exception):
    """A loss or the global model is NaN or infinite."""


def play_round(
    federation: Federation,
    number: int,
    state: GlobalState,
    on_client: Callable[[int, ClientResult], None],
    keep_paths: bool = False,
) -> tuple[GlobalState, RoundReport]:
    """Play round `number` (1 is the first) from `state`; neither `state` nor its tensors change.

    on_client: called with every result and its place among the round's clients (ascending numbers), while
        the result's model is valid.
    keep_paths: whether results have the client's models between its epochs.
    Raises Diverged, with the client in its message.
    """
    lane = federation.lane
    context = Context(
        federation.algorithm_settings, number, parameters_of(state.model.parameters, lane.layout)
    )

    def objective(parameters: Mapping[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return federation.algorithm.loss(lane.apply, parameters, images, labels, context)

    drawn = participants(federation.seed, number, len(federation.clients), federation.participation)
    tasks = [
        ClientTask(
            client,
            federation.clients[client],
            order_stream(federation.order_seed, number, client),
            keep_paths,
        )
        for client in drawn.tolist()
    ]
    mean, samples, loss_sum = WeightedMean(state.model), 0, 0.0
    for result in lane.train(state.model, tasks, objective):
        if not math.isfinite(result.loss):
            raise Diverged(f"client {result.client}: the loss is {result.loss}")
        if not result.model.is_finite():
            raise Diverged(f"client {result.client}: the model is not finite")
        mean.add(result.model, result.samples)
        samples += result.samples
        loss_sum += result.loss * result.samples
        on_client(int(np.searchsorted(drawn, result.client)), result)
    average = mean.result()
    target = federation.algorithm.aggregate(average.parameters, context)
    parameters, server_state = federation.server.step(
        federation.server_settings, state.model.parameters, target, state.server
    )
    model = ModelState(parameters, average.buffers, average.counters)
    if not model.is_finite():
        raise Diverged("server: the averaged model is not finite")
    return GlobalState(model, server_state), RoundReport(len(tasks), samples, loss_sum / samples)
