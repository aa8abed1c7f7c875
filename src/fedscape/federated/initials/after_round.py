"""A start from another run: its global model after a round.

The pilot study's runs "with one IID round" start where a FedAvg run on an IID partition is after round 1.
"""

from dataclasses import dataclass

from torch import Tensor

from fedscape.checkpoints.readers import Trajectory
from fedscape.checkpoints.state_dicts import check_weights
from fedscape.errors import FedscapeError
from fedscape.federated.initial import InitialContext
from fedscape.moment import Moment


@dataclass(frozen=True)
class Settings:
    """Which run, and when. The names are resolved to the run's trajectory before the job starts."""

    partition: str = ""  # name of the run's partition in the study
    method: str = ""  # name of the run's method in the study
    init: str = "random"  # name of the run's own start in the study
    round: Moment = 1  # round whose global model is taken; a fraction of all, or last

    def __post_init__(self):
        if self.round != "last" and self.round < 0:
            raise ValueError(f"round must be >= 0 or last, got {self.round}")


def weights(settings: Settings, context: InitialContext) -> dict[str, Tensor]:
    """The state_dict to start from. Raises FedscapeError if the round is not kept or the model is another."""
    if context.trajectory is None:
        raise FedscapeError("after-round start: no trajectory of the run that it continues")
    trajectory = Trajectory.open(context.trajectory)
    number = trajectory.last if settings.round == "last" else settings.round
    if isinstance(number, float):
        raise FedscapeError(f"after-round start: round {number} is a share of the rounds; name the round")
    parameters, buffers = trajectory.state(number)
    check_weights(context.module, parameters | buffers, context.trajectory)
    return parameters | buffers
