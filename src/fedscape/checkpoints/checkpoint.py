"""Kept models: the name of one, and the models of several runs that are read by such names."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from fedscape.checkpoints.layout import check_layout, parameters_of
from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.run_files import RunFiles
from fedscape.errors import FedscapeError

GLOBAL = -1
"""Stands for the global model in CSVs whose column of clients' numbers is never empty."""


@dataclass(frozen=True)
class Checkpoint:
    """The name of one kept model.

    run: its index in the list of runs. round: the round after which the global model was kept, or in which
    the client's was trained. client: its number; None for the global model. epoch: local epochs done
    (1, 2, ...) where the client's model was kept within the round; None for the model that it hands back.
    """

    run: int
    round: int
    client: int | None = None
    epoch: int | None = None

    def __post_init__(self) -> None:
        if self.epoch is not None and self.client is None:
            raise ValueError(f"epoch {self.epoch} of the global model: only clients have local epochs")

    @property
    def client_column(self) -> int:
        """The client's number as CSVs have it, GLOBAL for the global model."""
        return GLOBAL if self.client is None else self.client


@dataclass(frozen=True)
class Checkpoints:
    """The kept models of several runs of one network.

    clients: in the order of `trajectories`; empty where no client's model is asked for.
    """

    trajectories: Sequence[Trajectory]
    clients: Sequence[ClientModels] = ()

    @classmethod
    def open(cls, module: nn.Module, runs: Sequence[RunFiles]) -> "Checkpoints":
        """Those of these runs, in their order; a file of another network's models is a FedscapeError."""
        opened = cls(
            [Trajectory.open(run.trajectory) for run in runs],
            [ClientModels.open(run.clients) for run in runs if run.clients is not None],
        )
        for file in (*opened.trajectories, *opened.clients):
            check_layout(module, file.layout, file.path)
        return opened

    def of_runs(self, runs: Sequence[int]) -> "Checkpoints":
        """The kept models of some of the runs, which are numbered anew."""
        clients = [self.clients[run] for run in runs] if self.clients else []
        return Checkpoints([self.trajectories[run] for run in runs], clients)

    def finals(self) -> list[Checkpoint]:
        """The last kept global model of every run."""
        return [Checkpoint(run, trajectory.last) for run, trajectory in enumerate(self.trajectories)]

    def state(self, checkpoint: Checkpoint) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parameters (views of one vector) and buffers by name. A FedscapeError if the model is not kept."""
        layout = self.trajectories[checkpoint.run].layout
        return parameters_of(self.parameters(checkpoint), layout), self.buffers(checkpoint)

    def parameters(self, checkpoint: Checkpoint) -> Tensor:
        """The vector of parameters: float32 [P]."""
        if checkpoint.client is None:
            return self.trajectories[checkpoint.run].parameters(checkpoint.round)
        clients = self._clients(checkpoint.run)
        return clients.parameters(checkpoint.round, checkpoint.client, checkpoint.epoch)

    def buffers(self, checkpoint: Checkpoint) -> dict[str, Tensor]:
        """Buffers by name (float and integer ones)."""
        if checkpoint.client is None:
            return self.trajectories[checkpoint.run].buffers(checkpoint.round)
        clients = self._clients(checkpoint.run)
        return clients.buffers(checkpoint.round, checkpoint.client, checkpoint.epoch)

    def _clients(self, run: int) -> ClientModels:
        if not self.clients:
            path = self.trajectories[run].path
            raise FedscapeError(f"{path}: clients' models are asked for, but no file of them was opened")
        return self.clients[run]
