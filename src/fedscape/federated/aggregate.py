"""Means and sums that the server gathers while clients finish, in one pass."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fedscape.federated.rule import Contribution, Gathered, Vectors
from fedscape.federated.state import ModelState


class Gathering:
    """Weighted mean of the clients' models and of what else they hand over, and sums.

    All in float64, so that the order of clients is lost in rounding. Parameters and float buffers (running
    statistics) are averaged with the weights; of integer buffers (batch norm's count of batches) the largest
    is taken, since a mean of counters counts nothing.
    """

    def __init__(self, like: ModelState):
        self._parameters = torch.zeros_like(like.parameters, dtype=torch.float64)
        self._buffers = torch.zeros_like(like.buffers, dtype=torch.float64)
        self._counters = torch.full_like(like.counters, torch.iinfo(torch.int64).min)
        self._means: dict[str, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._weight = 0.0

    def add(self, model: ModelState, weight: float, contribution: Contribution | None = None) -> None:
        """Include another client."""
        self._parameters.add_(model.parameters, alpha=weight)
        self._buffers.add_(model.buffers, alpha=weight)
        torch.maximum(self._counters, model.counters, out=self._counters)
        if contribution:
            _add(self._means, contribution.means, weight)
            _add(self._sums, contribution.sums, 1.0)
        self._weight += weight

    def gathered(self) -> Gathered:
        """The means and sums so far, of one client at least."""
        model = ModelState(
            (self._parameters / self._weight).float(),
            (self._buffers / self._weight).float(),
            self._counters.clone(),
        )
        return Gathered(
            model=model,
            means={name: (total / self._weight).float() for name, total in self._means.items()},
            sums={name: total.float() for name, total in self._sums.items()},
        )


def _add(totals: dict[str, Tensor], vectors: Mapping[str, Tensor] | Vectors, weight: float) -> None:
    for name, vector in vectors.items():
        if name not in totals:
            totals[name] = torch.zeros_like(vector, dtype=torch.float64)
        totals[name].add_(vector, alpha=weight)
