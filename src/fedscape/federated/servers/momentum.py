"""FedAvgM: momentum on the server (Hsu, Qi & Brown, Measuring the Effects of Non-Identical Data Distribution
for Federated Visual Classification, arXiv 1909.06335).

With Δ_t the change that the clients agreed on (their aggregate less the global model w_t), β the momentum and
η the server's learning rate:

    heavy      v_t = β v_{t-1} + Δ_t           w_{t+1} = w_t + η v_t             (the paper's)
    dampened   v_t = β v_{t-1} + (1 - β) Δ_t   w_{t+1} = w_t + η v_t             (MOON's public code)
    nesterov   v_t = β v_{t-1} + Δ_t           w_{t+1} = w_t + η (Δ_t + β v_t)   (FL-bench, Flower's baseline)

v starts at 0. In all three β = 0 and η = 1 is the plain server. At the same η, steps of the dampened form are
1 - β as long as the paper's.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """The server's SGD."""

    momentum: float = 0.9  # β, share of the last step that carries over; the paper's choice
    lr: float = 1.0  # η, the server's learning rate; 1 follows the clients all the way
    form: Literal["heavy", "dampened", "nesterov"] = "heavy"  # which of the rules that go by this name

    def __post_init__(self):
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be > 0 and finite, got {self.lr}")
        if self.form not in ("heavy", "dampened", "nesterov"):
            raise ValueError(f"form must be heavy, dampened or nesterov, got {self.form}")


def step(
    settings: Settings, parameters: Tensor, aggregate: Tensor, state: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Next global parameters [P] and server state, from the present ones and the clients' aggregate [P].

    state: `velocity` [P], v; empty before the first round. A new one is returned, none is changed.
    """
    change = aggregate - parameters
    fresh = 1 - settings.momentum if settings.form == "dampened" else 1.0
    before = state.get("velocity", torch.zeros_like(parameters))
    velocity = settings.momentum * before + fresh * change
    direction = change + settings.momentum * velocity if settings.form == "nesterov" else velocity
    # Seen from the aggregate rather than from the present model, so that β = 0 with η = 1 gives the
    # aggregate to the last bit.
    return aggregate + (settings.lr * direction - change), {"velocity": velocity}
