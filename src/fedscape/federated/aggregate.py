"""The clients' models as one: a weighted mean that is built up while clients finish."""

import torch

from fedscape.federated.state import ModelState


class WeightedMean:
    """Weighted mean of models, one pass, in float64, so that the order of clients is lost in rounding.

    Parameters and float buffers (running statistics) are averaged with the weights; of integer buffers
    (batch norm's count of batches) the largest is taken, since a mean of counters counts nothing.
    """

    def __init__(self, like: ModelState):
        self._parameters = torch.zeros_like(like.parameters, dtype=torch.float64)
        self._buffers = torch.zeros_like(like.buffers, dtype=torch.float64)
        self._counters = torch.full_like(like.counters, torch.iinfo(torch.int64).min)
        self._weight = 0.0

    def add(self, model: ModelState, weight: float) -> None:
        """Take one more model into the mean."""
        self._parameters.add_(model.parameters, alpha=weight)
        self._buffers.add_(model.buffers, alpha=weight)
        torch.maximum(self._counters, model.counters, out=self._counters)
        self._weight += weight

    def result(self) -> ModelState:
        """The mean of the models so far, at least one."""
        return ModelState(
            (self._parameters / self._weight).float(),
            (self._buffers / self._weight).float(),
            self._counters.clone(),
        )
