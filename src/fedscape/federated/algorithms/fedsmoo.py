"""FedSMOO: FedDyn whose clients agree on one perturbation (Sun et al., Dynamic Regularized Sharpness Aware
Minimization in Federated Learning: Approaching Global Consistency and Smooth Landscape, 2023, in the form
of the authors' public code).

Clients train as FedDyn's, with the gradient taken at w + e. Client k keeps a dual vector mu_k, the server a
common perturbation s, both 0 at first; each step with the gradient g at w has

    v = g - mu_k - s,    e = rho v / ||v||,    mu_k <- mu_k + e - s,

and after the round s = rho m / ||m||, m the mean of the participants' mu_k. FedDyn's terms are added to the
gradient at w + e. rho = 0 is FedDyn.

The paper has another local term in v, which the code leaves out as small. mu_k adds up over all
minibatches, so that it may outgrow g and turn e downhill: where |g| < rho and s = 0 in one dimension, e
alternates between rho and -rho. Until October 2024 the public code cut mu and s wrongly, so that each layer
was given the first entries of both; the results of its README are older. FedDyn's regulariser counts for
each client as in `feddyn`, in the public code alike for all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.federated.algorithms.feddyn import adjust_gradient, loss
from fedscape.federated.algorithms.feddyn import after_client as regularised_client
from fedscape.federated.algorithms.feddyn import aggregate as regularised_aggregate
from fedscape.federated.perturbation import along
from fedscape.federated.rule import Client, ClientResult, Context, Contribution, Gathered

__all__ = [
    "Settings",
    "adjust_gradient",
    "after_client",
    "aggregate",
    "client_state",
    "loss",
    "perturbation",
    "shared_state",
]

WEIGHTS = "uniform"


@dataclass(frozen=True)
class Settings:
    """The perturbation, and FedDyn's regulariser."""

    rho: float = 0.1  # length of the perturbation, all parameters together; the public code's default
    alpha: float = 0.1  # FedDyn's, of a client of mean size; the public code's default

    def __post_init__(self):
        if not 0 <= self.rho < math.inf:
            raise ValueError(f"rho must be >= 0 and finite, got {self.rho}")
        if self.alpha <= 0:
            raise ValueError(f"alpha must be > 0, got {self.alpha}")

    def check(self, training):
        """Refuse a second perturbation, and clients that do not start from the global model."""
        if training.sam:
            raise ValueError("fedsmoo has a perturbation of its own, rho: no sam")
        if training.average_every != 1:
            raise ValueError("fedsmoo needs average_every 1")


def client_state(layout: Layout) -> dict[str, int]:
    """FedDyn's h_k, and mu_k."""
    return {"changes": layout.parameter_count, "dual": layout.parameter_count}


def shared_state(layout: Layout) -> dict[str, int]:
    """FedDyn's mean of h_k, and s."""
    return {"changes": layout.parameter_count, "perturbation": layout.parameter_count}


def perturbation(
    gradient: Tensor, parameters: Tensor, client: Client, context: Context[Settings]
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """e [lanes, P], and the clients' next mu_k."""
    dual, common = client.state["dual"], context.shared["perturbation"]
    ascent = along(gradient - dual - common, context.settings.rho)
    return ascent, {"dual": dual + ascent - common}


def after_client(result: ClientResult, client: Client, context: Context[Settings]) -> Contribution:
    """FedDyn's sum of changes, and the client's mu_k."""
    changes = regularised_client(result, client, context)
    dual = result.state["dual"]
    return Contribution(state={**changes.state, "dual": dual}, sums={**changes.sums, "dual": dual})


def aggregate(gathered: Gathered, context: Context[Settings]) -> tuple[Tensor, Mapping[str, Tensor]]:
    """FedDyn's next model [P] and server state, and s; the sum of the mu_k has their mean's direction."""
    target, shared = regularised_aggregate(gathered, context)
    return target, {**shared, "perturbation": along(gathered.sums["dual"], context.settings.rho)}
