"""Each class dealt out by its own Dirichlet draw, unequal sizes (Yurochkin et al., arXiv 1905.12022).

The scheme of FedAlign, MOON and NIID-Bench. For class after class: shares p ~ Dir(α 1) over the K clients;
with ``balance``, clients that already hold n / K samples get none of this class and p is renormalised; the
class's samples are cut by p. The whole draw is repeated until the smallest client has ``min_size`` samples:
at most 1,000 times, where the published code retries forever. The balance mask makes sizes more even and
the result depend on the order of the classes. This is what most later papers call Dir(α); α here multiplies
1 per client, not a class prior as in ``dirichlet``.
"""

import math
from dataclasses import dataclass

import numpy as np

from fedscape.data.sizes import client_count, cut, repeated

BY_LABEL = True  # deals by the one label that a sample has


@dataclass(frozen=True)
class Settings:
    """Concentration, balance mask and the smallest client allowed."""

    alpha: float  # concentration; -> 0: each class at one client, -> infinity: all clients alike
    balance: bool = True  # whether clients with n / K samples get no more (FedAlign: yes, Flower: no)
    min_size: int = 10  # samples; a client below a batch trains nothing where incomplete batches are dropped

    def __post_init__(self):
        # Smaller ones lose their digits, and a share of the smallest is 0.
        if not 1e-300 <= self.alpha < math.inf:
            raise ValueError(f"alpha must be > 0 and finite, got {self.alpha}")
        if self.min_size < 1:
            raise ValueError(f"min_size must be >= 1, got {self.min_size}")


def split(
    labels: np.ndarray,
    clients: int | None,
    settings: Settings,
    rng: np.random.Generator,
    natural: np.ndarray,
) -> list[np.ndarray]:
    """Positions into `labels` [n], one sorted array per client; every sample is used."""
    count = client_count(clients, len(labels))
    classes, class_sizes = np.unique(labels, return_counts=True)
    full = len(labels) / count

    def draw() -> np.ndarray:  # counts [C, K]; which samples they are is drawn once, afterwards
        counts = np.zeros((len(classes), count), dtype=np.int64)
        held = np.zeros(count, dtype=np.int64)
        for row, size in zip(counts, class_sizes, strict=True):
            shares = rng.dirichlet(np.full(count, settings.alpha))
            if settings.balance:
                shares = masked(shares, held < full)
            row[:] = cut(shares, int(size))
            held += row
        return counts

    counts = repeated(draw, count, len(labels), settings.min_size)
    parts: list[list[np.ndarray]] = [[] for _ in range(count)]
    for label, row in zip(classes, counts, strict=True):
        members = rng.permutation(np.flatnonzero(labels == label))
        for part, piece in zip(parts, np.split(members, np.cumsum(row)[:-1]), strict=True):
            part.append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]


def masked(shares: np.ndarray, open_clients: np.ndarray) -> np.ndarray:
    """Shares [K] with zero for clients that are full, summing to 1 again.

    A small α can leave the open clients a share of exactly 0 (0 / 0 in the published code): then they share
    evenly. There is always an open one, because fewer than n samples have been dealt out.
    """
    kept = shares * open_clients
    total = kept.sum()
    return kept / total if total > 0 else open_clients / open_clients.sum()
