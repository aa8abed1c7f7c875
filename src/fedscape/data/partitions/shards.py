"""Sorted by class and cut into shards, a few per client: the pathological split (McMahan et al. 2017, §3)."""

from dataclasses import dataclass

import numpy as np

from fedscape.data.sizes import client_count
from fedscape.errors import FedscapeError

BY_LABEL = True  # deals by the one label that a sample has


@dataclass(frozen=True)
class Settings:
    """Shards of each client."""

    shards_per_client: int = 2  # shards; each spans one class, or two where a class ends within it

    def __post_init__(self):
        if self.shards_per_client < 1:
            raise ValueError(f"shards_per_client must be >= 1, got {self.shards_per_client}")


def split(
    labels: np.ndarray,
    clients: int | None,
    settings: Settings,
    rng: np.random.Generator,
    natural: np.ndarray,
) -> list[np.ndarray]:
    """Positions into `labels` [n], one sorted array per client, all of one size.

    Of n samples the remainder of n / (clients x shards_per_client) is left out, at random: cut off after
    sorting, as published code does, it would always be the last class's.
    """
    count = client_count(clients, len(labels))
    shards = count * settings.shards_per_client
    size = len(labels) // shards
    if size == 0:
        raise FedscapeError(
            f"shards_per_client: {settings.shards_per_client} for {count} clients are {shards} shards, "
            f"there are {len(labels)} train samples"
        )
    shuffled = rng.permutation(len(labels))[: shards * size]
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")].reshape(shards, size)
    owners = rng.permutation(shards).reshape(count, settings.shards_per_client)
    return [np.sort(by_class[owned].ravel()) for owned in owners]
