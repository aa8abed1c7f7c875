"""Used by several tests of partitions."""

import numpy as np

from fedscape.jobs.streams import stream
from fedscape.plugins import load

NO_CLIENTS = np.zeros(0, dtype=np.int32)


def split(
    scheme: str, labels: np.ndarray, clients: int | None, seed: int = 0, /, natural=NO_CLIENTS, **values
) -> list[np.ndarray]:
    """The plug-in's split, with settings `values`, on the stream that make_partition gives it."""
    plugin = load("data.partitions", scheme)
    return plugin.split(labels, clients, plugin.Settings(**values), stream(seed, "partition"), natural)


def class_counts(parts: list[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Samples of each client and class [K, C]."""
    return np.array([np.bincount(labels[part], minlength=labels.max() + 1) for part in parts])
