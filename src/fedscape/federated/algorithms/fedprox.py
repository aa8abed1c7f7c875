"""FedProx: FedAvg with a proximal term (Li et al., Federated Optimization in Heterogeneous Networks, 2020,
equation 2).

Client k minimises, starting from the round's global model w_t,

    CE(f_w(x), y) + mu/2 ||w - w_t||²

over all trainable parameters. The term's gradient mu (w - w_t) is added to that of the cross-entropy, so it
goes through gradient clipping and momentum like the loss that it belongs to. mu = 0 is FedAvg. The loss that
is reported is the cross-entropy.
"""

from dataclasses import dataclass

from torch import Tensor

from fedscape.federated.algorithms.fedavg import loss
from fedscape.federated.rule import Client, Context

__all__ = ["Settings", "adjust_gradient", "loss"]


@dataclass(frozen=True)
class Settings:
    """How strongly clients are held to the global model."""

    mu: float = 1e-4  # weight of the proximal term; the FedAlign paper's best, others use 0.001 to 1

    def __post_init__(self):
        if self.mu < 0:
            raise ValueError(f"mu must be >= 0, got {self.mu}")

    def check(self, training):
        """Refuse rounds that do not start from a global model, to which clients could be held."""
        if training.average_every != 1:
            raise ValueError("fedprox needs average_every 1")


def adjust_gradient(
    gradient: Tensor, parameters: Tensor, client: Client, context: Context[Settings]
) -> Tensor:
    """Gradient [lanes, P] with that of the proximal term."""
    return gradient + context.settings.mu * (parameters - context.start.parameters)
