"""FedCM: momentum of all clients in each client's step (Xu et al., FedCM: Federated Learning with
Client-level Momentum, 2021). With the training setting `sam` it is MoFedSAM (Qu et al., Generalized
Federated Learning via Sharpness Aware Minimization, 2022).

The server keeps the mean of the participants' last mean gradients, and each local step goes along

    alpha g(w) + (1 - alpha) m,    m = mean_k (w_t - w_k) / (K_k lr)  of the round before,  m = 0 at first,

so that the first round is FedAvg's at the learning rate alpha lr, but for weight decay and clipping. alpha
= 1 is FedAvg, with uniform weights. With `sam`, g is the gradient at the perturbed model, and m stays
outside of the ascent.

As in SCAFFOLD here, K lr is the weight that a client's gradients have in its change, its own steps, rates
and momentum included; FL-Simulator takes the number of steps of the first client, not rounded up, for all.
Weight decay stays outside, as there: it is added to the step in full, although m has taken it in too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.federated.algorithms.fedavg import loss
from fedscape.federated.rule import Client, ClientResult, Context, Contribution, Gathered

__all__ = ["Settings", "adjust_gradient", "after_client", "aggregate", "loss", "shared_state"]

WEIGHTS = "uniform"


@dataclass(frozen=True)
class Settings:
    """The share of the fresh gradient."""

    alpha: float = 0.1  # share of a step that is the client's own gradient; public code has 0.05 and 0.1

    def __post_init__(self):
        if not 0 < self.alpha <= 1:
            raise ValueError(f"alpha must be in (0, 1], got {self.alpha}")

    def check(self, training):
        """Refuse local steps whose mean gradient cannot be read off the model."""
        if training.optimiser != "sgd" or training.nesterov:
            raise ValueError("fedcm needs optimiser sgd without nesterov")
        if training.average_every != 1 or training.optimiser_state != "reset":
            raise ValueError("fedcm needs average_every 1 and optimiser_state reset")
        if training.pruning:
            raise ValueError("fedcm reads gradients off models, which pruning would cut: no pruning")


def shared_state(layout: Layout) -> dict[str, int]:
    """m."""
    return {"momentum": layout.parameter_count}


def adjust_gradient(
    gradient: Tensor, parameters: Tensor, client: Client, context: Context[Settings]
) -> Tensor:
    """Gradient [lanes, P], mixed with the momentum."""
    alpha = context.settings.alpha
    return alpha * gradient + (1 - alpha) * context.shared["momentum"]


def after_client(result: ClientResult, client: Client, context: Context[Settings]) -> Contribution:
    """The client's mean direction per unit of learning rate."""
    if result.gradient_weight == 0:  # a single step at the start of a warm-up from 0 tells nothing
        return Contribution(means={"momentum": context.shared["momentum"]})
    travelled = context.start.parameters - result.model.parameters
    return Contribution(means={"momentum": travelled / result.gradient_weight})


def aggregate(gathered: Gathered, context: Context[Settings]) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The mean model [P], and the momentum of the next round."""
    return gathered.parameters, {"momentum": gathered.means["momentum"]}
