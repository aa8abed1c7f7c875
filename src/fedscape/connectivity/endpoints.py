"""The two models of a pair, out of the kept models of the runs that made them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fedscape.checkpoints.checkpoint import Checkpoint, Checkpoints
from fedscape.connectivity.layer_merges import Model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """One model of a pair, on the device that evaluates it."""

    checkpoint: Checkpoint
    model: Model
    start: dict[str, Tensor]  # the parameters that its run started from


def endpoints(
    checkpoints: Checkpoints, pair: Mapping, device: torch.device
) -> tuple[Endpoint, Endpoint] | None:
    """The models of a pair, described as in `evaluate_pairs`; None, with a note, where one is not there.

    That is so where its run diverged before, or its client did not take part in the round.
    """
    first = _kept(checkpoints, pair["from"], pair["round"], pair["client"])
    second = _kept(checkpoints, pair["to"], pair["to_round"], pair["to_client"])
    if first is None or second is None:
        return None
    return _endpoint(checkpoints, first, device), _endpoint(checkpoints, second, device)


def _kept(checkpoints: Checkpoints, run: int, number: int | str, client: int | None) -> Checkpoint | None:
    """The name of one end's model, or None, with a note, if there is no such model."""
    trajectory = checkpoints.trajectories[run]
    file = trajectory if client is None else checkpoints.clients[run]
    if trajectory.diverged and number not in file.rounds:
        # The last finite round of a run that diverged is not the one that `last` means.
        log.warning("%s: the run diverged before round %s, whose pairs are left out", file.path, number)
        return None
    checkpoint = Checkpoint(run, trajectory.last if number == "last" else number, client)
    if client is not None and client not in (there := file.clients(checkpoint.round).tolist()):
        log.warning(
            "%s: client %d did not take part in round %d, its pairs are left out; %s did",
            file.path, client, checkpoint.round, there,
        )  # fmt: skip
        return None
    return checkpoint


def _endpoint(checkpoints: Checkpoints, checkpoint: Checkpoint, device: torch.device) -> Endpoint:
    parameters, buffers = checkpoints.state(checkpoint)
    start, _ = checkpoints.state(Checkpoint(checkpoint.run, 0))
    parameters, buffers, start = (
        {name: tensor.to(device) for name, tensor in named.items()} for named in (parameters, buffers, start)
    )
    return Endpoint(checkpoint, (parameters, buffers), start)
