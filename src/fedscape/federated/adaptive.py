"""The step that FedAdam, FedYogi and FedAdagrad share (Reddi et al., Adaptive Federated Optimization, 2021,
arXiv 2003.00295, algorithm 2).

With Δ_t the change that the clients agreed on (their aggregate less the global model w_t), all operations
element by element:

    m_t = β1 m_{t-1} + (1 - β1) Δ_t        v_t = the rule's own, from v_{t-1} and Δ_t²
    w_{t+1} = w_t + η m_t / (sqrt(v_t) + τ)

m starts at 0. With bias correction, of which algorithm 2 has none, m_t / (1 - β1^t) and v_t / (1 - β2^t) take
the places of m_t and v_t (Kingma & Ba, Adam, 2015, algorithm 1).
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class AdaptiveSettings(Protocol):
    """Settings that the three rules have in common."""

    @property
    def lr(self) -> float: ...  # η
    @property
    def beta1(self) -> float: ...
    @property
    def tau(self) -> float: ...
    @property
    def initial_second_moment(self) -> float: ...  # v before the first round, the same for all parameters


def adaptive_step(
    settings: AdaptiveSettings,
    parameters: Tensor,
    aggregate: Tensor,
    state: dict[str, Tensor],
    second_moment: Callable[[Tensor, Tensor], Tensor],
    corrected: tuple[float, float] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Next global parameters [P] and server state, as `step` of a server rule.

    state: `first_moment` and `second_moment` [P], and `steps` (int64, no axes) with bias correction; empty
        before the first round. A new one is returned, none is changed.
    second_moment: v_t from v_{t-1} and Δ_t², both [P].
    corrected: β1 and β2 whose bias is corrected; None for none.
    """
    change = aggregate - parameters
    first = state.get("first_moment", torch.zeros_like(change))
    second = state.get("second_moment", torch.full_like(change, settings.initial_second_moment))
    first = settings.beta1 * first + (1 - settings.beta1) * change
    second = second_moment(second, change.square())
    after = {"first_moment": first, "second_moment": second}
    if corrected:
        steps = int(state.get("steps", 0)) + 1
        after["steps"] = torch.tensor(steps)
        first, second = (
            moment / (1 - decay**steps) for moment, decay in zip((first, second), corrected, strict=True)
        )
    return parameters + settings.lr * first / (second.sqrt() + settings.tau), after
