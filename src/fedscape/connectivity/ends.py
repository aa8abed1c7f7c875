"""The two models of a pair, out of the files of the runs that made them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from fedscape.checkpoints.layout import parameters_of
from fedscape.checkpoints.trajectory import GLOBAL, ClientModels, Trajectory
from fedscape.connectivity.layer_merges import Model
from fedscape.evaluation.problem import Subject, check_layout

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """One model of a pair, on the subject's device."""

    model: Model
    start: dict[str, Tensor]  # the parameters that its run started from
    round: int


@dataclass(frozen=True)
class Runs:
    """Files of the runs that a job's pairs are taken from."""

    subject: Subject
    trajectories: list[Trajectory]
    clients: list[ClientModels]  # none unless pairs are of clients

    @classmethod
    def open(
        cls, subject: Subject, trajectories: Sequence[str | Path], clients: Sequence[str | Path]
    ) -> "Runs":
        """Open the files of each run. Raises FedscapeError for models of another kind than the subject's."""
        opened = cls(
            subject,
            [Trajectory.open(path) for path in trajectories],
            [ClientModels.open(path) for path in clients],
        )
        for file in (*opened.trajectories, *opened.clients):
            check_layout(subject, file.layout, file.path)
        return opened

    def both_ends(self, pair: Mapping) -> tuple[End, End] | None:
        """The models of a pair, described as in `evaluate_pairs`; None, with a note, where one is not there.

        That is so where its run diverged before, or its client did not take part in the round.
        """
        first = self._end(pair["from"], pair["round"], pair["client"])
        second = self._end(pair["to"], pair["to_round"], pair["to_client"])
        return (first, second) if first and second else None

    def _end(self, run: int, number: int | str, client: int) -> End | None:
        trajectory = self.trajectories[run]
        kept = trajectory if client == GLOBAL else self.clients[run]
        if trajectory.diverged and number not in kept.rounds:
            # The last finite round of a run that diverged is not the one that `last` means.
            log.warning("%s: the run diverged before round %s, whose pairs are left out", kept.path, number)
            return None
        number = trajectory.last if number == "last" else number
        start, _ = trajectory.state(0)
        if client == GLOBAL:
            parameters, buffers = trajectory.state(number)
        else:
            there = kept.clients(number).tolist()
            if client not in there:
                log.warning(
                    "%s: client %d did not take part in round %d, its pairs are left out; %s did",
                    kept.path, client, number, there,
                )  # fmt: skip
                return None
            place = there.index(client)
            # A copy, because a row of the others' would keep all of them in memory.
            parameters = parameters_of(kept.parameters(number)[place].clone(), kept.layout)
            buffers = kept.buffers(number, place)
        return End((self._placed(parameters), self._placed(buffers)), self._placed(start), number)

    def _placed(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self.subject.device) for name, tensor in tensors.items()}
