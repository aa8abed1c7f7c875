"""The mean of the models of a round's clients, weighed by their samples: what FedAvg's server hands on."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from fedscape.checkpoints.readers import ClientModels


def client_mean(
    models: ClientModels, number: int, weights: Sequence[float]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Parameters float32 [P] and buffers of the weighted mean of the clients' models of round `number`.

    weights: of the clients in their order, any sum. Running statistics are averaged like parameters; of
    integer buffers, batch norm's count of batches, the largest is taken.
    """
    clients = models.clients(number).tolist()
    shares = [weight / sum(weights) for weight in weights]
    parameters = _mean((models.parameters(number, client) for client in clients), shares)
    each = [models.buffers(number, client) for client in clients]
    buffers = {name: _mean((one[name] for one in each), shares) for name in each[0]}
    return parameters, buffers


def _mean(tensors: Iterable[Tensor], shares: Sequence[float]) -> Tensor:
    """Weighted mean of tensors that are read one after another; of integers the largest."""
    pairs = zip(tensors, shares, strict=True)
    first, share = next(pairs)
    if not first.is_floating_point():
        for tensor, _ in pairs:
            first = torch.maximum(first, tensor)
        return first
    total = share * first.double()
    for tensor, share in pairs:
        total.add_(tensor, alpha=share)
    return total.to(first.dtype)
