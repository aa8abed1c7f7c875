"""IID: all samples, shuffled and dealt out evenly (sizes differ by one at most)."""

from dataclasses import dataclass

import numpy as np

from fedscape.data.sizes import client_count


@dataclass(frozen=True)
class Settings:
    """No settings beside the number of clients."""


def split(
    labels: np.ndarray,
    clients: int | None,
    settings: Settings,
    rng: np.random.Generator,
    natural: np.ndarray,
) -> list[np.ndarray]:
    """Positions into `labels` [n], one sorted array per client; every sample is used."""
    count = client_count(clients, len(labels))
    return [np.sort(part) for part in np.array_split(rng.permutation(len(labels)), count)]
