"""The two models of a pair, read from the kept models of their runs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fedscape.checkpoints.checkpoint import Checkpoint, Checkpoints
from fedscape.columns import connectivity as columns
from fedscape.connectivity.layer_merges import Model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunModel:
    """One end of a pair as it is asked for: a model of one run of the group.

    run: its place in the list of runs. round: its number, or `last`: the run's last one, which a run that
    diverged does not have. client: its number; None for the global model.
    """

    run: int
    round: int | Literal["last"] = "last"
    client: int | None = None


@dataclass(frozen=True)
class ModelPair:
    """Two models that are joined."""

    first: RunModel
    second: RunModel

    @classmethod
    def of(cls, keys: Mapping) -> "ModelPair":
        """From keys as a job's settings have them: `from`, `round`, `client` and `to`, `to_round`, ..."""
        return cls(
            RunModel(keys["from"], keys["round"], keys["client"]),
            RunModel(keys["to"], keys["to_round"], keys["to_client"]),
        )


@dataclass(frozen=True)
class Endpoint:
    """One model of a pair, on the device that evaluates it."""

    checkpoint: Checkpoint
    model: Model
    start: dict[str, Tensor]  # the parameters that its run started from


def endpoints(
    checkpoints: Checkpoints, pair: ModelPair, device: torch.device
) -> tuple[Endpoint, Endpoint] | None:
    """The models of a pair; None, with a note, where one is not there."""
    names = kept_pair(checkpoints, pair)
    return names and (endpoint(checkpoints, names[0], device), endpoint(checkpoints, names[1], device))


def kept_pair(checkpoints: Checkpoints, pair: ModelPair) -> tuple[Checkpoint, Checkpoint] | None:
    """The names of both models of a pair; None, with a note, where one is not there.

    That is so where its run diverged before, or its client did not take part in the round.
    """
    first, second = _kept(checkpoints, pair.first), _kept(checkpoints, pair.second)
    return None if first is None or second is None else (first, second)


def pair_names(
    identities: Sequence[Mapping[str, object]], ends: tuple[Checkpoint, Checkpoint], between: str
) -> dict[str, object]:
    """The columns that name a pair of models. identities: the identifying columns of each run."""
    first, second = ends
    return {
        **identities[first.run],
        **columns.other_end(identities[second.run]),
        "between": between,
        "round": first.round,
        "to_round": second.round,
        "client": first.client_column,
        "to_client": second.client_column,
    }


def _kept(checkpoints: Checkpoints, model: RunModel) -> Checkpoint | None:
    """The name of one end's model, or None, with a note, if there is no such model."""
    trajectory = checkpoints.trajectories[model.run]
    file = trajectory if model.client is None else checkpoints.clients[model.run]
    if trajectory.diverged and model.round not in file.rounds:
        # The last finite round of a run that diverged is not the one that `last` means.
        log.warning("%s: the run diverged before round %s, whose pairs are left out", file.path, model.round)
        return None
    checkpoint = Checkpoint(model.run, trajectory.number(model.round, file.rounds), model.client)
    if model.client is None:
        return checkpoint
    participants = checkpoints.clients[model.run].clients(checkpoint.round).tolist()
    if model.client not in participants:
        log.warning(
            "%s: client %d did not take part in round %d, its pairs are left out; %s did",
            file.path, model.client, checkpoint.round, participants,
        )  # fmt: skip
        return None
    return checkpoint


def endpoint(checkpoints: Checkpoints, checkpoint: Checkpoint, device: torch.device) -> Endpoint:
    """A model that is there, as one end of a pair."""
    parameters, buffers = checkpoints.state(checkpoint)
    start, _ = checkpoints.state(Checkpoint(checkpoint.run, 0))
    parameters, buffers, start = (
        {name: tensor.to(device) for name, tensor in named.items()} for named in (parameters, buffers, start)
    )
    return Endpoint(checkpoint, (parameters, buffers), start)
