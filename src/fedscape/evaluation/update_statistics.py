"""Agreement of a round's clients: norms, gradient diversity and cosines of their updates.

A client's update is its model after the round minus the global model before it, parameters only, unweighted.
Gradient diversity is that of Yin et al. (Gradient Diversity: a Key Ingredient for Scalable Distributed
Learning, 2018, definition 1) with updates d instead of gradients: sum ||d||^2 / ||sum d||^2. It is 1/n
for n equal updates, 1 for orthogonal ones, and infinite where they cancel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

PAIRS_BYTES = 2**30
"""Memory for a round's updates, of which the smallest cosine needs all pairs; the rest are running sums."""


@dataclass(frozen=True)
class UpdateAgreement:
    """Statistics of a round's updates; NaN where undefined (cosines of one client, or of an update of 0).

    minimum_cosine is NaN too where the updates together take more than PAIRS_BYTES.
    """

    mean_update_norm: float  # L2
    gradient_diversity: float
    inverse_gradient_diversity: float
    mean_cosine: float  # over pairs of clients
    minimum_cosine: float


class UpdateStatistics:
    """Running statistics of a round's updates, from the clients' models one after the other.

    start: parameters [P] of the global model before the round. clients: how many there will be. Sums are in
    float64, so that the order of clients is lost in rounding. With u = d / ||d||, the mean cosine over pairs
    follows from the sum of all u: ||sum u||^2 = n + n (n - 1) mean.
    """

    def __init__(self, start: Tensor, clients: int):
        self._start = start
        self._sum = torch.zeros_like(start, dtype=torch.float64)
        self._unit_sum = torch.zeros_like(self._sum)
        self._norms: list[Tensor] = []
        fits = clients > 1 and clients * start.numel() * start.element_size() <= PAIRS_BYTES
        self._units = start.new_empty(clients, len(start)) if fits else None
        self._smallest: list[Tensor] = []  # cosine of each client with those before it

    def add(self, parameters: Tensor) -> Tensor:
        """Include the model [P] of another client; the norm of its update, a float64 scalar."""
        update = parameters.double() - self._start
        norm = torch.linalg.vector_norm(update)
        unit = update / norm
        self._sum += update
        self._unit_sum += unit
        if self._units is not None:
            index = len(self._norms)
            self._units[index] = unit
            if index:
                self._smallest.append((self._units[:index] @ self._units[index]).min())
        self._norms.append(norm)
        return norm

    def agreement(self) -> UpdateAgreement:
        """The statistics of the clients so far, one at least."""
        norms = torch.stack(self._norms)
        n, squares, of_sum = len(norms), norms.square().sum(), self._sum.square().sum()
        mean_cosine = smallest = norms.new_tensor(torch.nan)
        if n > 1:
            mean_cosine = (self._unit_sum.square().sum() - n) / (n * (n - 1))
        if self._smallest:
            smallest = torch.stack(self._smallest).min()
        return UpdateAgreement(
            mean_update_norm=norms.mean().item(),
            gradient_diversity=(squares / of_sum).item(),
            inverse_gradient_diversity=(of_sum / squares).item(),
            mean_cosine=mean_cosine.item(),
            minimum_cosine=smallest.item(),
        )
