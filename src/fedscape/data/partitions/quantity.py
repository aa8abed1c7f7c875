"""Unequal sizes, equal classes: sizes by Dir(β 1), samples at random (NIID-Bench, arXiv 2102.02079 §4.3)."""

import math
from dataclasses import dataclass

import numpy as np

from fedscape.data.sizes import client_count, cut, repeated


@dataclass(frozen=True)
class Settings:
    """Concentration of the sizes and the smallest client allowed."""

    beta: float  # concentration; -> 0: one client has nearly all, -> infinity: equal sizes
    min_size: int = 10  # samples; sizes are drawn again (1,000 times at most) until each client has as many

    def __post_init__(self):
        if not 0 < self.beta < math.inf:
            raise ValueError(f"beta must be > 0 and finite, got {self.beta}")
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

    def draw() -> np.ndarray:
        return cut(rng.dirichlet(np.full(count, settings.beta)), len(labels))

    sizes = repeated(draw, count, len(labels), settings.min_size)
    order = rng.permutation(len(labels))
    return [np.sort(part) for part in np.split(order, np.cumsum(sizes)[:-1])]
