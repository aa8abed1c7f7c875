"""A run on disk while it grows, in its resume folder: rows are added, then the round is committed."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from fedscape.checkpoints.format import PATH_PREFIX, VECTORS
from fedscape.checkpoints.layout import Layout
from fedscape.checkpoints.state_dicts import read_weights, write_weights
from fedscape.checkpoints.writer import RowWriter, clients_writer, shorten, trajectory_writer
from fedscape.errors import FedscapeError
from fedscape.federated.client_store import ClientStore, Entries
from fedscape.federated.records import GrowingTable, now
from fedscape.federated.rounds import GlobalState
from fedscape.federated.rule import ClientResult
from fedscape.federated.state import ModelState
from fedscape.jobs.resume import ResumeFolder

TRAJECTORY = "trajectory.safetensors"
CLIENTS = "clients.safetensors"
ROUNDS = "rounds.csv"
TIMING = "timing.csv"
STATE_SLOTS = ("state-0.safetensors", "state-1.safetensors")  # while one is written the other is committed
CLIENT_STATE = "client-state.bin"
SERVER_PREFIX, SHARED_PREFIX = "server.", "shared."  # of what the server rule and the client rule remember
KEPT, SLOTS, STEPS = "kept", "slots", "steps"

Row = Mapping[str, object]


def continues(rounds: int, progress: dict) -> bool:
    """Whether a run of this many rounds can continue from a committed state, as far as `progress` tells."""
    numbers = [progress[name] for name in ("round", "rounds_bytes", "timing_bytes")]
    words = [progress["started"], progress.get("diverged", "")]
    return (
        all(type(number) is int and number >= 0 for number in numbers)
        and progress["round"] <= rounds
        and all(isinstance(word, str) for word in words)
    )


class RunStore:
    """The growing files of one run, and its committed round.

    kept, kept_clients: rounds whose global model and whose client models are kept, ascending.
    participants: clients in a round.
    path_points: models kept between the local epochs of each such client; 0 for none.
    client_entries: what each client keeps between rounds. clients: how many there are.
    state: the global state after the committed round, on the CPU; None if the run starts afresh.
    """

    def __init__(
        self,
        folder: ResumeFolder,
        layout: Layout,
        kept: Sequence[int],
        kept_clients: Sequence[int],
        participants: int,
        path_points: int = 0,
        client_entries: Entries | None = None,
        clients: int = 0,
    ):
        self.folder = folder
        self.client_entries, self.client_count = client_entries or {}, clients
        self._slots: torch.Tensor | None = None
        self.layout, self.participants, self.path_points = layout, participants, path_points
        self.kept, self.kept_clients = list(kept), list(kept_clients)
        self.state = self._read_state() if folder.progress else None
        if folder.progress and self.state is None:
            folder.restart("the saved state cannot be read")
        self.started = folder.progress.get("started") or now()
        self._files: list[RowWriter | GrowingTable | ClientStore] = []
        if self.diverged:
            # The files do not grow any more, may have been cut, and what clients keep is not needed.
            self.client_state = ClientStore(self.folder.folder / CLIENT_STATE, {}, 0)
            self._files = [self.client_state, *self._open_tables()]  # which close with their mark
            return
        self._open()
        models_lost = self.trajectory.is_new or self.clients.is_new or self.client_state.lost
        if folder.progress and (models_lost or self.rounds.cut_off or self.timing.cut_off):
            folder.restart("a growing file is missing, cut off or another run's")
            self.state, self._slots = None, None
            self.close()
            self._open()

    @property
    def round(self) -> int:
        """The committed round; -1 before the start is committed."""
        return self.folder.progress.get("round", -1)

    @property
    def diverged(self) -> str | None:
        """Why the run ended before its last round, if it did."""
        return self.folder.progress.get("diverged")

    def keeps_paths(self, number: int) -> bool:
        """Whether the clients' models between their epochs of round `number` are kept."""
        return self.path_points > 0 and number in self.kept_clients

    def add_client(self, number: int, position: int, result: ClientResult) -> None:
        """Keep the model of a client by its position in the round, if this round's clients are kept."""
        if number in self.kept_clients:
            row = self.kept_clients.index(number)
            vectors = dict(zip(VECTORS, result.model.vectors, strict=True))
            if self.path_points:
                paths = zip(*(state.vectors for state in result.path), strict=True)
                vectors |= {
                    PATH_PREFIX + name: torch.stack(points)
                    for name, points in zip(VECTORS, paths, strict=True)
                }
            self.clients.write(row, position, clients=np.array(result.client), **vectors)

    def commit(self, number: int, state: GlobalState, rounds_row: Row, timing_row: Row) -> None:
        """Write round `number` and make it the one from which the next process resumes."""
        if number in self.kept:
            self._write_model(self.kept.index(number), state)
        if number in self.kept_clients:
            self.clients.flush()
        self.client_state.commit()
        slot = STATE_SLOTS[number % len(STATE_SLOTS)]
        self._write_state(slot, state)
        self._commit(
            [slot],
            round=number,
            rounds_bytes=self.rounds.add(rounds_row),
            timing_bytes=self.timing.add(timing_row),
        )

    def commit_divergence(self, reason: str, state: GlobalState, rounds_row: Row) -> None:
        """End the run after the committed round, whose global `state` becomes the last one that is kept."""
        self._write_model(len(self._kept_to_the_end()) - 1, state)
        slot = STATE_SLOTS[self.round % len(STATE_SLOTS)]
        self._commit([slot], diverged=reason, rounds_bytes=self.rounds.add(rounds_row))

    def close(self) -> None:
        """Close the files, cut to the rounds of the run if it ended early; may be called again."""
        for file in self._files:
            file.close()
        if self.diverged:
            shorten(self.folder.folder / TRAJECTORY, self._kept_to_the_end())
            shorten(self.folder.folder / CLIENTS, self._done(self.kept_clients))

    def _done(self, rounds: Sequence[int]) -> list[int]:
        return [number for number in rounds if number <= self.round]

    def _kept_to_the_end(self) -> list[int]:
        """Kept rounds of a run that ends with the committed one, which is always kept."""
        return sorted({*self._done(self.kept), self.round})

    def _open(self) -> None:
        path = self.folder.folder
        self.trajectory = trajectory_writer(path / TRAJECTORY, self.layout, self.kept)
        self.clients = clients_writer(
            path / CLIENTS, self.layout, self.kept_clients, self.participants, self.path_points
        )
        self.client_state = ClientStore(
            path / CLIENT_STATE, self.client_entries, self.client_count, self._slots
        )
        self._files = [self.trajectory, self.clients, *self._open_tables(), self.client_state]

    def _open_tables(self) -> tuple[GrowingTable, GrowingTable]:
        path, committed = self.folder.folder, self.folder.progress
        self.rounds = GrowingTable(path / ROUNDS, committed.get("rounds_bytes", 0))
        self.timing = GrowingTable(path / TIMING, committed.get("timing_bytes", 0))
        return self.rounds, self.timing

    def _commit(self, files: Sequence[str], **changes: object) -> None:
        self.folder.commit({**self.folder.progress, "started": self.started, **changes}, files)

    def _write_model(self, row: int, state: GlobalState) -> None:
        self.trajectory.write(row, **dict(zip(VECTORS, state.model.vectors, strict=True)))
        self.trajectory.flush()

    def _write_state(self, name: str, state: GlobalState) -> None:
        tensors = dict(zip(VECTORS, state.model.vectors, strict=True))
        tensors |= {SERVER_PREFIX + key: value for key, value in state.server.items()}
        tensors |= {SHARED_PREFIX + key: value for key, value in state.shared.items()}
        tensors[SLOTS] = self.client_state.slots
        tensors[STEPS] = torch.tensor(state.steps)
        if state.kept is not None:
            tensors[KEPT] = state.kept
        write_weights(self.folder.folder / name, tensors)

    def _read_state(self) -> GlobalState | None:
        try:
            tensors = read_weights(self.folder.folder / STATE_SLOTS[self.round % len(STATE_SLOTS)])
            model = ModelState(*(tensors.pop(name) for name in VECTORS))
            self._slots, steps = tensors.pop(SLOTS), int(tensors.pop(STEPS))
        except (FedscapeError, KeyError):
            return None
        kept = tensors.pop(KEPT, None)
        server, shared = (
            {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            for prefix in (SERVER_PREFIX, SHARED_PREFIX)
        )
        return GlobalState(model, server, shared, kept, steps)
