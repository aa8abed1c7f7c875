"""What is known of models that were trained elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fedscape.fields import Split


@dataclass(frozen=True)
class MeasuredResult:
    """What the owner of a model has measured of it, by which its import is checked."""

    round: int
    split: Split
    loss: float | None = None  # mean cross-entropy in nats
    accuracy: float | None = None  # share of right answers
    tolerance: float = 1e-3  # relative difference up to which ours is the same

    def __post_init__(self):
        if self.loss is None and self.accuracy is None:
            raise ValueError("needs loss or accuracy, or both")
        if self.loss is not None and not 0 <= self.loss < math.inf:
            raise ValueError(f"loss must be >= 0, got {self.loss}")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy must be >= 0 and <= 1, a share, got {self.accuracy}")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance must be > 0 and < 1, got {self.tolerance}")


@dataclass(frozen=True)
class ImportedModels:
    """Which models the files of an imported run hold, in the order of the files where there are many."""

    rounds: Sequence[int]  # of the global models
    clients: Sequence[Sequence[int]]  # round and number of each client's model
    # what files call a part of the network, and what it calls it (None: left out)
    names: Sequence[Sequence[str | None]]
    measured: MeasuredResult | None = None
