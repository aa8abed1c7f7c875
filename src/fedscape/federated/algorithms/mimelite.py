"""MimeLite: clients imitate a centralised optimiser (Karimireddy et al., Mime: Mimicking Centralized
Stochastic Algorithms in Federated Learning, 2021, algorithm 2), with SGD and momentum as the optimiser.

The momentum m belongs to the server and is fixed during a round: every local step goes along

    g_i(y) + beta m,

and after the round it takes in the mean gradient of the participants' whole data at the round's model x, an
extra pass over their samples:

    m <- beta m + sum_i p_i grad f_i(x).

The server averages the models. beta = 0 is FedAvg. The momentum of the training settings, which clients would
keep to themselves, must be 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.federated.algorithms.fedavg import loss
from fedscape.federated.rule import Client, ClientResult, Context, Contribution, Gathered

__all__ = ["Settings", "adjust_gradient", "after_client", "aggregate", "loss", "shared_state"]

FULL_GRADIENT = True


@dataclass(frozen=True)
class Settings:
    """The imitated optimiser."""

    beta: float = 0.9  # its momentum

    def __post_init__(self):
        if not 0 <= self.beta < 1:
            raise ValueError(f"beta must be in [0, 1), got {self.beta}")

    def check(self, training):
        """Refuse a second optimiser state, and rounds that do not start from a global model."""
        if training.optimiser != "sgd" or training.momentum:
            raise ValueError("mimelite needs optimiser sgd with momentum 0; its own is beta")
        if training.average_every != 1:
            raise ValueError("mimelite needs average_every 1")


def shared_state(layout: Layout) -> dict[str, int]:
    """m."""
    return {"momentum": layout.parameter_count}


def adjust_gradient(
    gradient: Tensor, parameters: Tensor, client: Client, context: Context[Settings]
) -> Tensor:
    """Gradient [lanes, P] with the server's momentum."""
    return gradient + context.settings.beta * context.shared["momentum"]


def after_client(result: ClientResult, client: Client, context: Context[Settings]) -> Contribution:
    """The client's gradient at the round's model, with that of the weight decay, as in its local steps."""
    if result.start_gradient is None:
        raise ValueError("mimelite needs the gradient at the round's model, for which it has FULL_GRADIENT")
    decay = context.training.weight_decay * context.start.parameters
    return Contribution(means={"gradient": result.start_gradient + decay})


def aggregate(gathered: Gathered, context: Context[Settings]) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The mean model [P], and the server's next momentum."""
    momentum = context.settings.beta * context.shared["momentum"] + gathered.means["gradient"]
    return gathered.parameters, {"momentum": momentum}
