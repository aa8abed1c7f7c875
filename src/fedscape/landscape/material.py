"""What a kind of plane may draw on: the kept models of its group's runs, and those of them that it marks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from fedscape.checkpoints.checkpoint import Checkpoint, Checkpoints
from fedscape.checkpoints.layout import Layout, flatten
from fedscape.errors import FedscapeError
from fedscape.evaluation.problem import Problem
from fedscape.moment import Moment


@dataclass(frozen=True)
class Mark:
    """One model on (or near) a plane.

    role: a `global` model, or in one round's plane the `start` (the global model of the round before), a
    `client`, a point on its `path`, or the `aggregate` (the global model after it).
    """

    checkpoint: Checkpoint
    role: Literal["global", "start", "client", "path", "aggregate"] = "global"


@dataclass(frozen=True)
class Material:
    """The runs of a group; none of them diverged.

    checkpoints: with clients' models if the kind declares CLIENTS. seed: of the named streams that a kind
    draws from.
    """

    problem: Problem
    checkpoints: Checkpoints
    seed: int

    @property
    def layout(self) -> Layout:
        """That of every model."""
        return self.problem.layout

    def number(self, moment: Moment) -> int:
        """The number of a round of the first run; `last` is its last kept one."""
        number = self.checkpoints.trajectories[0].last if moment == "last" else moment
        if not isinstance(number, int):
            raise FedscapeError(f"round {number} of a plane is a share; jobs take its number")
        return number

    def model(self, moment: Moment) -> Mark:
        """The global model after a round of the first run."""
        return Mark(Checkpoint(0, self.number(moment)))

    def finals(self) -> list[Mark]:
        """The last kept round of every run."""
        return [Mark(checkpoint) for checkpoint in self.checkpoints.finals()]

    def parameters(self, mark: Mark) -> Tensor:
        """Parameters of a model: float32 [P]. FedscapeError if it is not kept."""
        return self.checkpoints.parameters(mark.checkpoint)

    def buffers(self, mark: Mark) -> dict[str, Tensor]:
        """Buffers of a model by name."""
        return self.checkpoints.buffers(mark.checkpoint)

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
