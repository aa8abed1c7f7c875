"""Dirichlet class priors with equal sizes (Hsu, Qi & Brown, arXiv 1909.06335).

Client k draws its own class prior q_k ~ Dir(α p), with p the class frequencies of the train set, and then
n // K samples, each of a class drawn from q_k. Note the convention: α multiplies p, which sums to 1. The code
of TensorFlow Federated for CIFAR-10 draws from Dir(α 1) instead, where the same α is C times as much
(``prior: uniform`` here). The scheme of FedAlign, MOON and NIID-Bench, which is often given this name, is
another one: ``dirichlet-per-class``.

Clients are filled one after another, as in the authors' line of code in TensorFlow Federated, and classes
run out on the way. The paper leaves open what happens then; here q_k is renormalised over the classes that
still have samples, and a client whose prior has no mass left there draws from what remains, by its
frequencies. Rejection (FedDyn, FedLab) would hang and plain renormalisation give NaN. The last clients get
what is left over. Dealing one sample in turn to everybody would treat clients alike, but spreads what is left
over all of them and undoes much of the skew that alpha asks for (measured in `benchmarks/partitions.py`).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedscape.data.sizes import client_count

NO_MASS = np.finfo(float).tiny  # smallest normal number: below it, floats are too coarse to draw from

BY_LABEL = True  # deals by the one label that a sample has


@dataclass(frozen=True)
class Settings:
    """Concentration of the clients' class priors, and what it multiplies."""

    alpha: float  # concentration; -> 0: one class per client, -> infinity: all clients alike
    prior: Literal["global", "uniform"] = "global"  # global: Dir(alpha p), Hsu et al.; uniform: Dir(alpha 1)

    def __post_init__(self):
        # Smaller ones lose their digits, and a share of the smallest is 0.
        if not 1e-300 <= self.alpha < math.inf:
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
    K * size <= sum of counts.
    """
    remaining = counts.astype(np.int64)
    drawn = np.zeros(priors.shape, dtype=np.int64)
    for client, prior in enumerate(priors):
        while (left := size - drawn[client].sum()) > 0:
            weights = np.where(remaining > 0, prior, 0.0)
            if weights.sum() < NO_MASS:
                weights = remaining.astype(float)
            # As many draws at once as fit, up to the one that would take a class below zero.
            sequence = rng.choice(len(weights), size=left, p=weights / weights.sum())
            taken = np.cumsum(sequence[:, None] == np.arange(len(weights)), axis=0)
            fits = int((taken <= remaining).all(axis=1).sum())
            drawn[client] += taken[fits - 1]
            remaining -= taken[fits - 1]
    return drawn
