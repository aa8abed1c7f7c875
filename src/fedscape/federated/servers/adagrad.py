"""FedAdagrad: Adagrad on the server (Reddi et al., Adaptive Federated Optimization, 2021, algorithm 2).

The step is that of `federated/adaptive.py`. The second moment is a sum and never forgets, so steps shrink:

    v_t = v_{t-1} + Δ_t²

There is no bias to correct in a sum.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from fedscape.federated.adaptive import adaptive_step


@dataclass(frozen=True)
class Settings:
    """The server's Adagrad."""

    lr: float = 0.1  # η, the server's learning rate; the papers tune it for each task
    beta1: float = 0.0  # decay per round of the mean of changes; 0, as Adagrad itself has no momentum
    tau: float = 0.001  # τ, added to the root of the second moment: the smaller, the more adaptive
    initial_second_moment: float = 0.0  # v at first; algorithm 2 wants at least tau^2, public code has 0

    def __post_init__(self):
        if not 0 <= self.beta1 < 1:
            raise ValueError(f"beta1 must be in [0, 1), got {self.beta1}")
        for name in ("lr", "tau"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be > 0 and finite, got {getattr(self, name)}")
        if not 0 <= self.initial_second_moment < math.inf:
            raise ValueError(
                f"initial_second_moment must be >= 0 and finite, got {self.initial_second_moment}"
            )


def step(
    settings: Settings, parameters: Tensor, aggregate: Tensor, state: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Next global parameters [P] and server state, from the present ones and the clients' aggregate [P].

    state: the server's memory by name, empty before the first round; a new one is returned, none is changed.
    """

    def second_moment(before: Tensor, square: Tensor) -> Tensor:
        return before + square

    return adaptive_step(settings, parameters, aggregate, state, second_moment)
