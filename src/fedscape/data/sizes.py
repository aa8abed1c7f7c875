"""Helpers of partition schemes: counting clients, cutting by shares, repeating a draw within bounds."""

from collections.abc import Callable

import numpy as np

from fedscape.errors import FedscapeError

ATTEMPTS = 1000  # published code retries forever; after 1,000 draws the settings are at fault


def client_count(clients: int | None, samples: int) -> int:
    """The number of clients, or an error where it is not given, below 1, or above the number of samples."""
    if clients is None:
        raise FedscapeError("clients: is missing; give the number of clients")
    if not 1 <= clients <= samples:
        raise FedscapeError(f"clients: {clients} for {samples} train samples; allowed are 1 to {samples}")
    return clients


def cut(shares: np.ndarray, samples: int) -> np.ndarray:
    """Sizes [K], whole and summing to `samples`, from shares [K] that sum to 1 (cut at rounded-down sums)."""
    ends = (np.cumsum(shares) * samples).astype(np.int64)
    ends[-1] = samples  # the shares' float sum may fall short of 1
    return np.diff(ends, prepend=0)


def repeated(draw: Callable[[], np.ndarray], clients: int, samples: int, min_size: int) -> np.ndarray:
    """The first result of `draw`, counts [..., K] over clients, that gives each of them `min_size` samples.

    Raises FedscapeError after ATTEMPTS draws, or at once where no draw can.
    """
    if clients * min_size > samples:
        raise FedscapeError(
            f"min_size: {min_size} for each of {clients} clients needs {clients * min_size} train samples, "
            f"there are {samples}"
        )
    best = 0
    for _ in range(ATTEMPTS):
        counts = draw()
        smallest = int(counts.reshape(-1, clients).sum(axis=0).min())
        if smallest >= min_size:
            return counts
        best = max(best, smallest)
    raise FedscapeError(
        f"min_size: in {ATTEMPTS} draws the smallest of {clients} clients never had {min_size} of {samples} "
        f"samples (at best {best}); lower min_size or clients, or raise alpha or beta"
    )
