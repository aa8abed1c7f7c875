"""FedBN: batch norm stays with the client (Li et al., FedBN: Federated Learning on Non-IID Features via Local
Batch Normalization, 2021, algorithm 1).

Scale, shift and running statistics of every batch-norm layer are the client's own: it starts each round from
the global model with these put in, and keeps them afterwards. Everything else is averaged, with uniform
weights. Which layers these are is read off their running statistics, not their names, so that those in
shortcuts are found too.

A client that joins late starts from the others' mean batch norm, where the paper has its initial one. There
is no single global model; the one that is kept and evaluated has the mean of the participants' batch norm,
which analyses may measure anew (`batch_norm: recalibrate`). Without batch norm this is FedAvg with uniform
weights.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.federated.algorithms.fedavg import loss
from fedscape.federated.rule import Client, ClientResult, Context, Contribution
from fedscape.federated.state import ModelState

__all__ = ["Settings", "after_client", "client_state", "loss", "start"]

WEIGHTS = "uniform"
STATISTIC = "running_mean"  # the buffer that only a batch-norm layer has


@dataclass(frozen=True)
class Settings:
    """FedBN has no settings beyond those of all methods."""

    def check(self, training):
        """Refuse rounds that do not start from a global model."""
        if training.average_every != 1:
            raise ValueError("fedbn needs average_every 1")


def client_state(layout: Layout) -> dict[str, int]:
    """The client's scales and shifts, and its running statistics."""
    return {"affine": len(affine_positions(layout)), "statistics": layout.buffer_count}


def start(client: Client, context: Context) -> ModelState:
    """The global model, with the client's batch norm if it has one."""
    if not client.known:
        return context.start
    parameters = context.start.parameters.clone()
    parameters[affine_positions(context.layout).to(parameters.device)] = client.state["affine"]
    return ModelState(parameters, client.state["statistics"], context.start.counters)


def after_client(result: ClientResult, client: Client, context: Context) -> Contribution:
    """The client keeps its batch norm."""
    positions = affine_positions(context.layout).to(result.model.parameters.device)
    state = {"affine": result.model.parameters[positions], "statistics": result.model.buffers}
    return Contribution(state=state)


def affine_positions(layout: Layout) -> Tensor:
    """Positions in the parameter vector, int64, of scales and shifts of layers with running statistics."""
    layers = {name.rpartition(".")[0] for name, _ in layout.buffers if name.rpartition(".")[2] == STATISTIC}
    positions, offset = [torch.empty(0, dtype=torch.int64)], 0
    for name, shape in layout.parameters:
        size = torch.Size(shape).numel()
        if name.rpartition(".")[0] in layers:
            positions.append(torch.arange(offset, offset + size))
        offset += size
    return torch.cat(positions)
