"""What one run draws by, and which of its models are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fedscape.errors import FedscapeError


@dataclass(frozen=True)
class RunSeeds:
    """Seeds of a run's random streams."""

    seed: int  # of the clients that take part, augmentation and the rule
    order_seed: int  # of the orders in which clients go through their samples


@dataclass(frozen=True)
class KeptModels:
    """Rounds whose models are kept."""

    keep_rounds: (
        Literal["all"] | Mapping[str, int] | Sequence[int]
    )  # of global models: all, {every: k} or these
    client_rounds: Sequence[int] = ()  # of the clients' models as well; 1 is the first
    client_paths: bool = False  # in these, also clients' models after each local epoch but the last

    def global_rounds(self, rounds: int) -> list[int]:
        """Rounds of a run of `rounds` whose global model is kept, ascending; 0 and the last always are."""
        if self.keep_rounds == "all":
            return list(range(rounds + 1))
        listed = (
            range(0, rounds + 1, self.keep_rounds["every"])
            if isinstance(self.keep_rounds, Mapping)
            else self.keep_rounds
        )
        return _checked({0, *listed, rounds}, 0, rounds, "keep_rounds")

    def rounds_of_clients(self, rounds: int) -> list[int]:
        """Rounds of a run of `rounds` whose client models are kept, ascending."""
        return _checked({*self.client_rounds}, 1, rounds, "client_rounds")


def _checked(numbers: set[int], first: int, last: int, key: str) -> list[int]:
    for number in numbers:
        if not first <= number <= last:
            raise FedscapeError(f"{key}: no round {number}; allowed are {first} to {last}")
    return sorted(numbers)
