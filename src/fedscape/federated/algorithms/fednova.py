"""FedNova: normalised averaging (Wang et al., Tackling the Objective Inconsistency Problem in Heterogeneous
Federated Optimization, 2020, equations 5 to 9).

Clients that take different numbers of steps pull the mean towards the ones that take more. So client i hands
over the direction d_i = (x - y_i) / a_i, where a_i is the weight that its gradients have in its change (see
`normaliser`), and the server goes

    x <- x - tau sum_i p_i d_i,    tau = sum_i p_i a_i,

p_i the aggregation weights. With equal a_i it is FedAvg. The learning rate is part of a_i, step by step. (The
authors' code leaves it out, which is the same where all steps have one rate, and wrong under a schedule that
clients of different step counts go through at different speeds.) With a proximal term, mu/2 ||w - x||² in the
clients' loss, each step shrinks what came before, a_i accounts for it, and tau is sum_i p_i of the clients'
summed rates, as in the authors' code, which adds the term's gradient after the momentum; here it goes through
it (as in FedProx), so that the two settings exclude each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fedscape.federated.algorithms.fedavg import loss
from fedscape.federated.normaliser import accumulated_weight
from fedscape.federated.rule import Client, ClientResult, Context, Contribution, Gathered

__all__ = ["Settings", "adjust_gradient", "after_client", "aggregate", "loss"]


@dataclass(frozen=True)
class Settings:
    """The proximal term."""

    mu: float = 0.0  # weight of the proximal term; 0, the default, leaves it out

    def __post_init__(self):
        if self.mu < 0:
            raise ValueError(f"mu must be >= 0, got {self.mu}")

    def check(self, training):
        """Refuse local steps whose weight in the client's change is not known."""
        if training.optimiser != "sgd" or training.nesterov:
            raise ValueError("fednova needs optimiser sgd without nesterov")
        if training.average_every != 1 or training.optimiser_state != "reset":
            raise ValueError("fednova needs average_every 1 and optimiser_state reset")
        if self.mu and training.momentum:
            raise ValueError("fednova: mu > 0 needs momentum 0")


def adjust_gradient(
    gradient: Tensor, parameters: Tensor, client: Client, context: Context[Settings]
) -> Tensor:
    """Gradient [lanes, P] with that of the proximal term."""
    if context.settings.mu == 0:
        return gradient
    return gradient + context.settings.mu * (parameters - context.start.parameters)


def after_client(result: ClientResult, client: Client, context: Context[Settings]) -> Contribution:
    """The normalised direction, and the weight that the client had."""
    mu, travelled = context.settings.mu, context.start.parameters - result.model.parameters
    weight = accumulated_weight(result.rates, mu=mu) if mu else result.gradient_weight
    # A single step at the start of a warm-up from 0 leads nowhere, so there is nothing to divide.
    direction = travelled / weight if weight else travelled
    length = sum(result.rates) if mu else weight
    return Contribution(
        means={"direction": direction, "length": torch.tensor([length], device=direction.device)}
    )


def aggregate(gathered: Gathered, context: Context[Settings]) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Global parameters [P] moved along the mean direction."""
    target = context.start.parameters - gathered.means["length"] * gathered.means["direction"]
    return target, context.shared
