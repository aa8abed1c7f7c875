"""The batches of the common problem, for clients that iterate a DataLoader over samples of their own."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from exchange import Problem


class Epochs:
    """Batches of a client in a round, which counts from 1, as a DataLoader's `batch_sampler`.

    An epoch at each pass; indices are into the samples of the client.
    """

    def __init__(self, problem: Problem, number: int, client: int):
        samples = problem.samples(client)
        rows = problem.batches[number - 1, client]
        steps = [np.searchsorted(samples, row[row >= 0]).tolist() for row in rows if row[0] >= 0]
        self._length = len(steps) // problem.settings["local_epochs"]
        self._steps = iter(steps)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[list[int]]:
        return islice(self._steps, self._length)
