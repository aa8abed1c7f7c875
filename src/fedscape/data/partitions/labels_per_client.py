"""A fixed number of classes per client ("#label = k", NIID-Bench, arXiv 2102.02079 §4.1).

Client i holds class i mod C and k - 1 other classes at random; each class is dealt out evenly among its
holders. With fewer clients than classes a class may have no holder: its samples are left out.
"""

from dataclasses import dataclass

import numpy as np

from fedscape.data.sizes import client_count
from fedscape.errors import FedscapeError

BY_LABEL = True  # deals by the one label that a sample has


@dataclass(frozen=True)
class Settings:
    """Classes of each client."""

    labels: int = 2  # classes per client, at most as many as the train set has

    def __post_init__(self):
        if self.labels < 1:
            raise ValueError(f"labels must be >= 1, got {self.labels}")


def split(
    labels: np.ndarray,
    clients: int | None,
    settings: Settings,
    rng: np.random.Generator,
    natural: np.ndarray,
) -> list[np.ndarray]:
    """Positions into `labels` [n], one sorted array per client.

    Raises FedscapeError where a class has fewer samples than holders, so that a client would miss it.
    """
    count = client_count(clients, len(labels))
    classes = np.unique(labels)
    if settings.labels > len(classes):
        raise FedscapeError(
            f"labels: {settings.labels} per client, but the train set has {len(classes)} classes"
        )
    holders: list[list[int]] = [[] for _ in classes]
    for client in range(count):
        first = client % len(classes)
        others = np.delete(np.arange(len(classes)), first)
        for index in (first, *rng.choice(others, settings.labels - 1, replace=False)):
            holders[index].append(client)

    parts: list[list[np.ndarray]] = [[] for _ in range(count)]
    for label, holding in zip(classes, holders, strict=True):
        if not holding:
            continue
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < len(holding):
            raise FedscapeError(
                f"labels: class {label} has {len(members)} train samples for the {len(holding)} clients "
                "that hold it; use fewer clients or labels"
            )
        # array_split gives the odd samples to the first: shuffled, or client 0 would be larger for each class
        for client, piece in zip(
            rng.permutation(holding), np.array_split(members, len(holding)), strict=True
        ):
            parts[client].append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]
