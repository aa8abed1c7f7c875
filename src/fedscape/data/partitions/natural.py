"""The data set's own clients: writers, speakers, users, as its `client` column tells."""

from dataclasses import dataclass

import numpy as np

from fedscape.errors import FedscapeError

OWN_CLIENTS = True  # `clients` may be left out


@dataclass(frozen=True)
class Settings:
    """No settings; `clients: n` keeps n of them, drawn at random."""


def split(
    labels: np.ndarray,
    clients: int | None,
    settings: Settings,
    rng: np.random.Generator,
    natural: np.ndarray,
) -> list[np.ndarray]:
    """Positions into `labels` [n], one sorted array per client, clients in the order of their numbers.

    natural: client number of each sample, int32 [n]. Clients whose samples were all left out of the train
    set (`images`, `validation`) do not appear. Without `clients`, all of them are used.
    """
    if len(natural) == 0:
        raise FedscapeError("this data set has no natural clients; use another scheme")
    numbers, inverse = np.unique(natural, return_inverse=True)
    if clients is None:
        kept = np.arange(len(numbers))
    elif 1 <= clients <= len(numbers):
        kept = np.sort(rng.choice(len(numbers), clients, replace=False))
    else:
        raise FedscapeError(f"clients: {clients}, but the train set has 1 to {len(numbers)} natural clients")
    by_client = np.argsort(inverse, kind="stable")  # stable: positions stay sorted within a client
    ends = np.cumsum(np.bincount(inverse))
    parts = np.split(by_client, ends[:-1])
    return [parts[client] for client in kept]
