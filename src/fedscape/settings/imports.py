"""What is known of models that were trained elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ImportedModels:
    """Which models the files of an imported run hold, in the order of the files where there are many."""

    rounds: Sequence[int]  # of the global models
    clients: Sequence[Sequence[int]]  # round and number of each client's model
    # what files call a part of the network, and what it calls it (None: left out)
    names: Sequence[Sequence[str | None]]
