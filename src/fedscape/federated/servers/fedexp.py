"""FedExP: a server that goes further where clients agree less (Jhunjhunwala et al., FedExP: Speeding Up
Federated Averaging via Extrapolation, 2023, with the step size of the authors' public code).

With Δ_k the clients' changes, p_k their aggregation weights and Δ the change that they agree on:

    η = max(1, sum_k p_k ||Δ_k||² / (2 (||Δ||² + ε)))        w_{t+1} = w_t + η Δ

Equal changes give η = 1, the plain server; M orthogonal ones of one length give M / 2 (ε = 0). The public
code adds M ε for the M clients of the round, lets ε fall with the square of the clients' learning rate,
clips their gradients (training setting `clip`, 10 there), and evaluates the mean of the last two global
models: the one that is kept and evaluated here is the last. With a client rule whose aggregate is not the
mean of its clients' models (feddyn), Δ is what the rule wants the model to do, and Δ_k what clients did.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fedscape.federated.servers.average import step

__all__ = ["Settings", "extrapolate", "step"]


@dataclass(frozen=True)
class Settings:
    """How the step size is kept small where changes nearly cancel."""

    # ε, a squared distance, added to ||Δ||²; the public code's, per client of a round (0.1 for EMNIST)
    epsilon: float = 0.001

    def __post_init__(self):
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"epsilon must be > 0 and finite, got {self.epsilon}")


def extrapolate(settings: Settings, parameters: Tensor, aggregate: Tensor, squares: Tensor) -> Tensor:
    """w_t + η Δ [P], from the global model and the clients' aggregate [P]."""
    change = aggregate - parameters
    length = torch.linalg.vector_norm(change, dtype=torch.float64)
    rate = (squares / (2 * (length.square() + settings.epsilon))).clamp_min(1)
    # Seen from the aggregate, so that η = 1 gives it to the last bit.
    return aggregate + (rate - 1).to(change.dtype) * change
