"""FedGloSS: sharpness-aware at the server (Caldarola et al., Beyond Local Sharpness:
Communication-Efficient Global Sharpness-aware Minimization for Federated Learning, 2025).

The server perturbs along the pseudo-gradient p of the round before, which costs no further exchange;
clients start from the perturbed model, held to it as in FedDyn, and the server applies what they do to the
unperturbed one:

    w~ = w_t + rho p / ||p||
    clients, from w~:  g(w) + (w - w~ + h_k) / beta,    then h_k <- h_k + w_k - w~
    server:            w_{t+1} = w_t + mean_{S} (w_k - w~) + mean_{all N} h_k,    p = mean_{S} (w~ - w_k)

p = 0 at first. Clients' own SAM is the training setting `sam`; public code has both, with rho = 0.15 each
for CIFAR-10. Without either it is FedDyn with alpha = 1 / beta, for clients of equal sizes. In the method's
own symbols L_k = -h_k / beta and sigma = -mean_{all N} h_k / beta.

As in the paper's algorithm 1 (which the authors' repository shows), sigma takes in each change once, and
L_k changes once in a round; participants count alike there for sigma and by size for p, here alike for both
unless `weights` says otherwise. The public code differs from that: it divides what sigma takes in by the
number of participants once more; its schedule lets the server's rho begin at the end of the clients' (here
it is constant); it updates L_k in each local epoch, and divides by 0 where clients have not moved.

What is recorded of a round's updates (cosines, diversity) counts them from w_t, so all have the ascent in
common.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.federated.algorithms.fedavg import loss
from fedscape.federated.perturbation import along
from fedscape.federated.rule import Client, ClientResult, Context, Contribution, Gathered
from fedscape.federated.state import ModelState

__all__ = [
    "Settings",
    "adjust_gradient",
    "after_client",
    "aggregate",
    "client_state",
    "loss",
    "shared_state",
    "start",
]

WEIGHTS = "uniform"


@dataclass(frozen=True)
class Settings:
    """The server's perturbation, and how strongly clients are held to the model that they are sent."""

    rho: float = 0.15  # length of the server's perturbation; the public code's for CIFAR-10 (CIFAR-100: 0.01)
    beta: float = 10.0  # the larger, the looser; the public code's for CIFAR-10 (CIFAR-100: 100)

    def __post_init__(self):
        if not 0 <= self.rho < math.inf:
            raise ValueError(f"rho must be >= 0 and finite, got {self.rho}")
        if not 0 < self.beta < math.inf:
            raise ValueError(f"beta must be > 0 and finite, got {self.beta}")

    def check(self, training):
        """Refuse clients that do not start from the global model, to which their change is measured."""
        if training.average_every != 1:
            raise ValueError("fedgloss needs average_every 1")


def client_state(layout: Layout) -> dict[str, int]:
    """h_k."""
    return {"changes": layout.parameter_count}


def shared_state(layout: Layout) -> dict[str, int]:
    """Mean of all clients' h_k, and the ascent w~ - w_t."""
    return {"changes": layout.parameter_count, "ascent": layout.parameter_count}


def start(client: Client, context: Context[Settings]) -> ModelState:
    """w~, with the global model's buffers."""
    model = context.start
    return ModelState(model.parameters + context.shared["ascent"], model.buffers, model.counters)


def adjust_gradient(
    gradient: Tensor, parameters: Tensor, client: Client, context: Context[Settings]
) -> Tensor:
    """Gradient [lanes, P] with that of the regulariser."""
    sent = context.start.parameters + context.shared["ascent"]
    return gradient + 1 / context.settings.beta * (parameters - sent + client.state["changes"])


def after_client(result: ClientResult, client: Client, context: Context[Settings]) -> Contribution:
    """The client's sum of changes."""
    change = result.model.parameters - (context.start.parameters + context.shared["ascent"])
    return Contribution(state={"changes": client.state["changes"] + change}, sums={"changes": change})


def aggregate(gathered: Gathered, context: Context[Settings]) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The unperturbed model, moved by the mean change and that of all so far [P], and the next ascent."""
    changes = context.shared["changes"] + gathered.sums["changes"] / context.clients
    ascent = context.shared["ascent"]
    pseudo_gradient = context.start.parameters + ascent - gathered.parameters
    target = gathered.parameters - ascent + changes
    return target, {"changes": changes, "ascent": along(pseudo_gradient, context.settings.rho)}
