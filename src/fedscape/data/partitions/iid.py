"""IID: all samples, shuffled and dealt out evenly (sizes differ by one at most).

A data set that brings its own clients is dealt anew, to as many clients.
"""

from dataclasses import dataclass

import numpy as np

from fedscape.data.sizes import client_count

OWN_CLIENTS = True  # `clients` may be left out


@dataclass(frozen=True)
class Settings:
    """No settings; without `clients`, as many as the data set's own."""


def split(
    labels: np.ndarray,
    clients: int | None,
    settings: Settings,
    rng: np.random.Generator,
    natural: np.ndarray,
) -> list[np.ndarray]:
    """Positions into `labels` [n], one sorted array per client; every sample is used.

    natural: client number of each sample, int32 [n], or none [0].
    """
    own = len(np.unique(natural)) or None
    count = client_count(own if clients is None else clients, len(labels))
    return [np.sort(part) for part in np.array_split(rng.permutation(len(labels)), count)]
