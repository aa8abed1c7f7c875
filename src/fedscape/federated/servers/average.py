"""The plain server: the next global model is what the clients agreed on (w_{t+1} = their aggregate)."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """The plain server has no settings."""


def step(
    settings: Settings, parameters: Tensor, aggregate: Tensor, state: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Next global parameters [P] and server state, from the present ones and the clients' aggregate [P].

    state: the server's memory by name, empty before the first round; a new one is returned, none is changed.
    """
    return aggregate, state
