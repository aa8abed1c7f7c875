"""FedLESAM: sharpness-aware clients that ascend along the global model's own way (Fan et al., Locally
Estimated Global Perturbations are Better than Local Perturbations for Federated Sharpness-aware
Minimization, 2024).

In place of its own gradient's direction, client k perturbs along what the global model has moved since it
last took part, from w_k_old, the model that it was sent then, to the present w_t. The perturbation is the
same for all steps of a round, and a step takes one gradient, not two:

    e = rho (w_k_old - w_t) / ||w_k_old - w_t||        w <- w - lr g(w + e)

e = 0 at a client's first participation. rho = 0 is FedAvg. Batch norm's running statistics, and the loss
that is reported, are those at w + e, the only model that sees the samples.

The public code differs: it takes the server's last update for all clients, without w_k_old; it looks up
this vector by the number of the layer rather than of the weight, so that each tensor is shifted by one
constant; its norm is a sum of layers' norms; and clients count alike, where here they count as in FedAvg.
Its forms on SCAFFOLD and FedDyn are not here.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.federated.algorithms.fedavg import loss
from fedscape.federated.perturbation import along
from fedscape.federated.rule import Client, ClientResult, Context, Contribution

__all__ = ["Settings", "after_client", "client_state", "gradient_point", "loss"]


@dataclass(frozen=True)
class Settings:
    """The perturbation."""

    rho: float = 0.1  # its length, all parameters together; the public code's default

    def __post_init__(self):
        if not 0 <= self.rho < math.inf:
            raise ValueError(f"rho must be >= 0 and finite, got {self.rho}")

    def check(self, training):
        """Refuse a second perturbation, and rounds that do not start from a global model."""
        if training.sam:
            raise ValueError("fedlesam has a perturbation of its own, rho: no sam")
        if training.average_every != 1:
            raise ValueError("fedlesam needs average_every 1")


def client_state(layout: Layout) -> dict[str, int]:
    """w_k_old."""
    return {"received": layout.parameter_count}


def gradient_point(parameters: Tensor, client: Client, context: Context[Settings]) -> Tensor:
    """Perturbed models [lanes, P]."""
    way = client.state["received"] - context.start.parameters
    return parameters + client.known * along(way, context.settings.rho)


def after_client(result: ClientResult, client: Client, context: Context[Settings]) -> Contribution:
    """The client keeps the model that it was sent."""
    return Contribution(state={"received": context.start.parameters})
