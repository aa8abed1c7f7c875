"""FedNova's normalising constant: the weight that a client's gradients have in its change."""

from collections.abc import Sequence


def accumulated_weight(rates: Sequence[float], momentum: float = 0.0, mu: float = 0.0) -> float:
    """The sum a of the weights with which the gradients g_k of a client's steps enter its change.

    x - y = sum_k a_k g_k, a = sum_k a_k, for steps with learning rates `rates`. At a constant rate eta plain
    SGD has a = eta K, and with momentum rho from an empty buffer a = eta (K - rho (1 - rho^K) / (1 - rho)) /
    (1 - rho). mu: weight of a proximal term, by which each step shrinks what came before (Wang et al.,
    Tackling the Objective Inconsistency Problem in Heterogeneous Federated Optimization, 2020, section 3; the
    recursion is their code's, which leaves the rate out and so holds where all steps have the same).
    """
    weight = counter = 0.0
    for rate in rates:
        counter = momentum * counter + 1
        weight = (1 - rate * mu) * weight + rate * counter
    return weight
