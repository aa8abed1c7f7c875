"""A random start: the model's own initialisation, drawn from the stream "start" of the seed."""

from dataclasses import dataclass

from torch import Tensor

from fedscape.federated.initial import InitialContext


@dataclass(frozen=True)
class Settings:
    """A random start has no settings; `seed` of the entry pins it for the runs of every seed."""


def weights(settings: Settings, context: InitialContext) -> dict[str, Tensor]:
    """The state_dict to start from."""
    return context.module.state_dict()
