"""FedAdam: Adam on the server (Reddi et al., Adaptive Federated Optimization, 2021, algorithm 2).

The step is that of `federated/adaptive.py`, with the second moment as a running mean of squares:

    v_t = β2 v_{t-1} + (1 - β2) Δ_t²

Systems that offer "FedAdam" differ: the authors' own code corrects the bias and has β2 = 0.999; others have
no correction, or 1e-8 for τ. The defaults here are the paper's.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from fedscape.federated.adaptive import adaptive_step


@dataclass(frozen=True)
class Settings:
    """The server's Adam."""

    lr: float = 0.1  # η, the server's learning rate; the papers tune it for each task
    beta1: float = 0.9  # decay per round of the mean of changes; the paper's choice
    beta2: float = 0.99  # decay per round of the mean of their squares; the paper's choice
    tau: float = 0.001  # τ, added to the root of the second moment: the smaller, the more adaptive
    bias_correction: bool = False  # divide both means by 1 - beta^t; algorithm 2 does not
    initial_second_moment: float = 0.0  # v at first; algorithm 2 wants at least tau^2, public code has 0

    def __post_init__(self):
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        for name in ("lr", "tau"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be > 0 and finite, got {getattr(self, name)}")
        if not 0 <= self.initial_second_moment < math.inf:
            raise ValueError(
                f"initial_second_moment must be >= 0 and finite, got {self.initial_second_moment}"
            )
        if self.bias_correction and self.initial_second_moment:
            raise ValueError("bias_correction holds for a second moment that starts at 0 only")


def step(
    settings: Settings, parameters: Tensor, aggregate: Tensor, state: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Next global parameters [P] and server state, from the present ones and the clients' aggregate [P].

    state: the server's memory by name, empty before the first round; a new one is returned, none is changed.
    """

    def second_moment(before: Tensor, square: Tensor) -> Tensor:
        return settings.beta2 * before + (1 - settings.beta2) * square

    corrected = (settings.beta1, settings.beta2) if settings.bias_correction else None
    return adaptive_step(settings, parameters, aggregate, state, second_moment, corrected)
