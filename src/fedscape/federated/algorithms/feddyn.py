"""FedDyn: dynamic regularisation (Acar et al., Federated Learning Based on Dynamic Regularization, 2021,
algorithm 1, in the form of the authors' code).

Client i keeps h_i, the sum of its changes so far. From the round's model w_t it minimises

    CE + alpha_i <w, h_i - w_t> + alpha_i/2 ||w||²,    alpha_i = alpha / (n_i N / n),

whose gradient adds alpha_i (w - w_t + h_i), and sets h_i <- h_i + w_i - w_t. The server sends

    w_{t+1} = mean_{i in S} w_i + mean_{all N} h_i,

both means uniform: the paper's server state is -alpha times the second. alpha = 0 on the clients alone
would leave the server's term, so the smallest alpha is above 0. Since alpha_i is larger for small clients,
runs settle at the optimum of the mean loss by size, whatever `weights` says; FL-Simulator has one alpha for
all, in which clients of equal size do not differ. The global model here is the one that is sent (the
authors' "cloud" model). Clip the gradient (training setting `clip`, 10 in the authors' code); unlike there,
where it sits in the weight decay, the quadratic term then counts towards the norm.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.federated.algorithms.fedavg import loss
from fedscape.federated.rule import Client, ClientResult, Context, Contribution, Gathered

__all__ = ["Settings", "adjust_gradient", "after_client", "aggregate", "client_state", "loss", "shared_state"]

WEIGHTS = "uniform"


@dataclass(frozen=True)
class Settings:
    """Strength of the regulariser."""

    alpha: float = 0.01  # of a client of mean size; the authors' choice for CIFAR-10

    def __post_init__(self):
        if self.alpha <= 0:
            raise ValueError(f"alpha must be > 0, got {self.alpha}")

    def check(self, training):
        """Refuse clients that do not start from the global model, to which their change is measured."""
        if training.average_every != 1:
            raise ValueError("feddyn needs average_every 1")


def client_state(layout: Layout) -> dict[str, int]:
    """h_i."""
    return {"changes": layout.parameter_count}


def shared_state(layout: Layout) -> dict[str, int]:
    """Mean of all clients' h_i."""
    return {"changes": layout.parameter_count}


def adjust_gradient(
    gradient: Tensor, parameters: Tensor, client: Client, context: Context[Settings]
) -> Tensor:
    """Gradient [lanes, P] with that of the regulariser."""
    towards = parameters - context.start.parameters + client.state["changes"]
    return gradient + context.settings.alpha / client.share * towards


def after_client(result: ClientResult, client: Client, context: Context) -> Contribution:
    """The client's sum of changes."""
    change = result.model.parameters - context.start.parameters
    return Contribution(state={"changes": client.state["changes"] + change}, sums={"changes": change})


def aggregate(gathered: Gathered, context: Context) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The mean model plus the mean change of all clients so far [P]."""
    changes = context.shared["changes"] + gathered.sums["changes"] / context.clients
    return gathered.parameters + changes, {"changes": changes}
