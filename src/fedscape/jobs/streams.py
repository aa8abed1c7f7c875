"""Named random streams.

Every random draw of a run comes from a stream named by (seed, purpose, key), never from a shared
generator, so no draw depends on what was drawn before it: the order of clients, the number of lanes,
a resume after a kill and the device all leave the draws as they are. Philox runs on the host.
"""

import zlib

import numpy as np


def stream(seed: int, purpose: str, *key: int) -> np.random.Generator:
    """Generator for one purpose, for example ``stream(0, "order", round_number, client)``.

    seed: the run's seed, or one that a study entry pins.
    purpose: the name of the stream ("partition", "sampling", "order", "augmentation", ...).
    key: non-negative integers that tell apart the draws of one purpose.
    """
    entropy = [seed, zlib.crc32(purpose.encode()), *key]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
