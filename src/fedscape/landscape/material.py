"""What a kind of plane may draw on: the runs of its group, and the models that can be marked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from fedscape.checkpoints.layout import Layout, flatten
from fedscape.checkpoints.trajectory import ClientModels, Trajectory
from fedscape.errors import FedscapeError
from fedscape.evaluation.problem import Subject


@dataclass(frozen=True)
class Mark:
    """One model on (or near) a plane.

    run: its place in `Material.trajectories`. round: the round after which it stands; a client's is the one
    in which it was trained. role: a global model, or in one round's plane the `start` (the global model of
    the round before), a `client`, a point on its `path`, or the `aggregate` (the global model after it).
    client: its number, for the roles client and path. point: local epochs done (1, 2, ...), for path.
    """

    run: int
    round: int
    role: Literal["global", "start", "client", "path", "aggregate"] = "global"
    client: int | None = None
    point: int | None = None


@dataclass(frozen=True)
class Material:
    """The runs of a group; none of them diverged.

    clients: in the order of `trajectories`; empty unless the kind declares CLIENTS. seed: of the named
    streams that a kind draws from.
    """

    subject: Subject
    trajectories: Sequence[Trajectory]
    clients: Sequence[ClientModels]
    seed: int

    @property
    def layout(self) -> Layout:
        """That of every model."""
        return self.subject.layout

    def number(self, chosen: int | Literal["last"]) -> int:
        """The number of a round of the first run; `last` is its last kept one."""
        return self.trajectories[0].last if chosen == "last" else chosen

    def model(self, chosen: int | Literal["last"]) -> Mark:
        """The global model after a round of the first run."""
        return Mark(0, self.number(chosen))

    def finals(self) -> list[Mark]:
        """The last kept round of every run."""
        return [Mark(run, trajectory.last) for run, trajectory in enumerate(self.trajectories)]

    def state(self, mark: Mark) -> tuple[Tensor, dict[str, Tensor]]:
        """Parameters float32 [P] and buffers by name. FedscapeError if the model is not kept."""
        return self.parameters(mark), self.buffers(mark)

    def parameters(self, mark: Mark) -> Tensor:
        """Parameters of a model: float32 [P]."""
        if mark.client is None:
            return self.trajectories[mark.run].parameters(mark.round)
        clients, place = self._place(mark)
        if mark.point is None:
            return _client_parameters(clients, mark.round)[place]
        return _path_parameters(clients, mark.round)[place, mark.point - 1]

    def buffers(self, mark: Mark) -> dict[str, Tensor]:
        """Buffers of a model by name."""
        if mark.client is None:
            return self.trajectories[mark.run].buffers(mark.round)
        clients, place = self._place(mark)
        if mark.point is None:
            return clients.buffers(mark.round, place)
        return clients.path_buffers(mark.round, place, mark.point - 1)

    def buffer_vectors(self, mark: Mark) -> tuple[Tensor, Tensor]:
        """Float buffers [B] and counters [C] of a model."""
        _, floats, counters = flatten(self.buffers(mark), replace(self.layout, parameters=()))
        return floats, counters

    def stacked(self, marks: Sequence[Mark]) -> tuple[Tensor, Tensor, Tensor]:
        """Parameters float32 [n, P], float buffers [n, B] and counters [n, C] of n models."""
        return torch.stack([self.parameters(mark) for mark in marks]), *self.stacked_buffers(marks)

    def stacked_buffers(self, marks: Sequence[Mark]) -> tuple[Tensor, Tensor]:
        """Float buffers [n, B] and counters [n, C] of n models."""
        floats, counters = zip(*map(self.buffer_vectors, marks), strict=True)
        return torch.stack(floats), torch.stack(counters)

    def _place(self, mark: Mark) -> tuple[ClientModels, int]:
        """A client's file and its place among the participants of its round."""
        clients = self.clients[mark.run]
        numbers = clients.clients(mark.round).tolist()
        if mark.client not in numbers:
            raise FedscapeError(f"{clients.path}: client {mark.client} was not in round {mark.round}")
        return clients, numbers.index(mark.client)


# The reader gives all clients of a round at once, and a plane asks for them one after the other.
@lru_cache(maxsize=1)
def _client_parameters(clients: ClientModels, number: int) -> Tensor:
    return clients.parameters(number)


@lru_cache(maxsize=1)
def _path_parameters(clients: ClientModels, number: int) -> Tensor:
    return clients.path_parameters(number)
