"""Dirichlet class priors with equal sizes (Hsu, Qi & Brown, arXiv 1909.06335).

Client k draws its own class prior q_k ~ Dir(α p), with p the class frequencies of the train set, and then
n // K samples, each of a class drawn from q_k. Note the convention: α multiplies p, which sums to 1. The code
of TensorFlow Federated for CIFAR-10 draws from Dir(α 1) instead, where the same α is C times as much
(``prior: uniform`` here). The scheme of FedAlign, MOON and NIID-Bench, which is often given this name, is
another one: ``dirichlet-per-class``.

Classes run out before all clients are full. The paper leaves open what happens then; here q_k is
renormalised over the classes that still have samples, and a client whose prior has no mass left there draws
from what remains, by its frequencies. Rejection (FedDyn, FedLab) would hang and plain renormalisation give
NaN. The clients are filled one sample each per pass, in a new random order each time: filled one after
another, the last ones would get the leftovers, not what their priors ask for. The price of equal sizes: where
the priors together ask for more of a class than there is, even α -> 0 leaves clients with a mixture.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np

from fedscape.data.sizes import client_count

NO_MASS = np.finfo(float).tiny  # smallest normal number: below it, floats are too coarse to draw from


@dataclass(frozen=True)
class Settings:
    """Concentration of the clients' class priors, and what it multiplies."""

    alpha: float  # concentration; -> 0: one class per client, -> infinity: all clients alike
    prior: Literal["global", "uniform"] = "global"  # global: Dir(alpha p), Hsu et al.; uniform: Dir(alpha 1)

    def __post_init__(self):
        if not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha must be > 0 and finite, got {self.alpha}")
        if self.prior not in ("global", "uniform"):
            raise ValueError(f"prior must be global or uniform, got {self.prior}")


def split(
    labels: np.ndarray,
    clients: int | None,
    settings: Settings,
    rng: np.random.Generator,
    natural: np.ndarray,
) -> list[np.ndarray]:
    """Positions into `labels` [n], one sorted array of n // K per client; n mod K samples are left out."""
    count = client_count(clients, len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    base = counts / counts.sum() if settings.prior == "global" else np.ones(len(classes))
    priors = rng.dirichlet(settings.alpha * base, size=count)
    drawn = draw_classes(priors, counts, len(labels) // count, rng)

    parts: list[list[np.ndarray]] = [[] for _ in range(count)]
    for index, label in enumerate(classes):
        members = rng.permutation(np.flatnonzero(labels == label))
        ends = np.cumsum(drawn[:, index])
        for part, piece in zip(parts, np.split(members[: ends[-1]], ends[:-1]), strict=True):
            part.append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]


def draw_classes(priors: np.ndarray, counts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `size` classes for each client, without replacement from `counts` [C], by `priors` [K, C].

    Gives how many samples of each class each client has: int64 [K, C], rows summing to `size`; needs
    K * size <= sum of counts. Plain Python numbers, since there is one draw per sample and a table of
    cumulative weights changes only when a class runs out.
    """
    clients = len(priors)
    remaining = counts.tolist()
    drawn = [[0] * len(remaining) for _ in range(clients)]
    cumulative = np.cumsum(priors, axis=1).tolist()
    orders = rng.permuted(np.tile(np.arange(clients), (size, 1)), axis=1).ravel().tolist()
    uniforms = rng.random(clients * size).tolist()
    for client, uniform in zip(orders, uniforms, strict=True):
        weights = cumulative[client]
        if weights[-1] < NO_MASS:
            weights = list(accumulate(remaining))
        choice = bisect_right(weights, uniform * weights[-1])
        drawn[client][choice] += 1
        remaining[choice] -= 1
        if remaining[choice] == 0:
            available = np.asarray(remaining) > 0
            cumulative = np.cumsum(priors * available, axis=1).tolist()
    return np.asarray(drawn, dtype=np.int64)
