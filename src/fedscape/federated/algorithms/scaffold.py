"""SCAFFOLD: control variates against client drift (Karimireddy et al., SCAFFOLD: Stochastic Controlled
Averaging for Federated Learning, 2020, algorithm 1, option II).

With the server's control variate c and client i's c_i, all zero at first, each local step goes along

    g_i(y) - c_i + c,

and after K steps of rate lr from x to y the client sets

    c_i <- c_i - c + (x - y) / (K lr).

The server takes the uniform mean of the models, and c moves by |S|/N times the mean change of the c_i, so
that c stays the mean of all N clients' c_i. A server's learning rate is that of the server rule.

The last term is the mean of the client's corrected gradients. With momentum a gradient's weight in x - y is
more than lr, so K is replaced by the sum of these weights (FedNova's normalising constant); other systems
keep K and overestimate c_i by 1 / (1 - momentum). The paper has no momentum, and neither does the default.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.federated.algorithms.fedavg import loss
from fedscape.federated.rule import Client, ClientResult, Context, Contribution, Gathered

__all__ = ["Settings", "adjust_gradient", "after_client", "aggregate", "client_state", "loss", "shared_state"]

WEIGHTS = "uniform"


@dataclass(frozen=True)
class Settings:
    """SCAFFOLD has no settings beyond those of all methods."""

    def check(self, training):
        """Refuse local steps whose mean gradient cannot be read off the model."""
        if training.optimiser != "sgd" or training.nesterov:
            raise ValueError("scaffold needs optimiser sgd without nesterov")
        if training.average_every != 1 or training.optimiser_state != "reset":
            raise ValueError("scaffold needs average_every 1 and optimiser_state reset")
        if training.pruning:
            raise ValueError("scaffold reads gradients off models, which pruning would cut: no pruning")


def client_state(layout: Layout) -> dict[str, int]:
    """c_i."""
    return {"control": layout.parameter_count}


def shared_state(layout: Layout) -> dict[str, int]:
    """c."""
    return {"control": layout.parameter_count}


def adjust_gradient(gradient: Tensor, parameters: Tensor, client: Client, context: Context) -> Tensor:
    """Corrected gradient [lanes, P]."""
    return gradient - client.state["control"] + context.shared["control"]


def after_client(result: ClientResult, client: Client, context: Context) -> Contribution:
    """The client's new control variate, and how it changed."""
    before = client.state["control"]
    if result.gradient_weight == 0:  # a single step at the start of a warm-up from 0 tells nothing
        return Contribution(state={"control": before}, sums={"control": torch.zeros_like(before)})
    travelled = (context.start.parameters - result.model.parameters) / result.gradient_weight
    after = before - context.shared["control"] + travelled
    return Contribution(state={"control": after}, sums={"control": after - before})


def aggregate(gathered: Gathered, context: Context) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The mean model [P], and the mean of all clients' control variates."""
    control = context.shared["control"] + gathered.sums["control"] / context.clients
    return gathered.parameters, {"control": control}
