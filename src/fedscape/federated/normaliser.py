"""How far a client's local steps carry: the weight that its gradients have in where it ends."""


def accumulated_weight(steps: int, momentum: float = 0.0, proximal: float = 0.0) -> float:
    """The sum a of the weights with which `steps` gradients enter a client's change, in units of the rate.

    (x - y) / lr = sum_k a_k g_k, a = sum_k a_k: for plain SGD a = K, with momentum rho from an empty buffer
    a = (K - rho (1 - rho^K) / (1 - rho)) / (1 - rho). proximal: lr mu of a proximal term, by which each step
    shrinks what came before (Wang et al., Tackling the Objective Inconsistency Problem in Heterogeneous
    Federated Optimization, 2020, section 3; the recursion is their code's).
    """
    weight = counter = 0.0
    for _ in range(steps):
        counter = momentum * counter + 1
        weight = (1 - proximal) * weight + counter
    return weight
