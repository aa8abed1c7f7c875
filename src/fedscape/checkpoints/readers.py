"""Readers of a run's models: the global ones, round by round, and those that clients handed back."""

import json
from abc import ABC, abstractmethod
from collections.abc import KeysView, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from fedscape.checkpoints.format import PATH_PREFIX, Shapes, clients_shapes, trajectory_shapes
from fedscape.checkpoints.layout import Layout, buffers_of, parameters_of
from fedscape.errors import FedscapeError
from fedscape.files import reading
from fedscape.moment import Moment


@dataclass(frozen=True)
class _Array:
    """An array, read as safetensors reads one of a file."""

    array: np.ndarray

    def get_shape(self) -> list[int]:
        return list(self.array.shape)

    def __getitem__(self, part: tuple[slice, ...]) -> np.ndarray:
        return self.array[part]


@dataclass(frozen=True)
class _Arrays:
    """Arrays by name, read as safetensors reads a file."""

    arrays: Mapping[str, np.ndarray]

    def keys(self) -> KeysView[str]:
        return self.arrays.keys()

    def get_slice(self, name: str) -> _Array:
        return _Array(self.arrays[name])


class _Rows(ABC):
    """Base of both readers: an open file, or arrays in memory, its layout and rounds."""

    kind: str

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise FedscapeError(f"{path}: no such file")
        with reading(path, f"{self.kind} file"):
            self._file = safe_open(self.path, framework="numpy")
            self._metadata = metadata = self._file.metadata() or {}
            if metadata.get("kind") != self.kind:
                raise ValueError(f"metadata kind is {metadata.get('kind')}, not {self.kind}")
            self.layout = Layout.from_json(metadata["layout"])
            self.rounds: tuple[int, ...] = tuple(json.loads(metadata["rounds"]))
            if not all(type(number) is int for number in self.rounds):
                raise ValueError("a round that is no whole number")
            if list(self.rounds) != sorted(set(self.rounds)):
                raise ValueError("rounds that do not ascend")
            for name, (dtype, shape) in self._shapes().items():
                piece = self._file.get_slice(name)
                held_dtype, held_shape = piece.get_dtype(), tuple(piece.get_shape())
                if (held_dtype, held_shape) != (dtype, shape):
                    raise ValueError(f"{name} is {held_dtype} {list(held_shape)}, not {dtype} {list(shape)}")

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open for reading; nothing is loaded yet. A corrupt or cut-off file is named in a FedscapeError."""
        return cls(path)

    @classmethod
    def in_memory(
        cls, name: str, layout: Layout, rounds: Sequence[int], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        """A reader of models that are in no file.

        name: what messages call them. rounds: ascending. arrays: finite, by the names and of the shapes that
        a file of them would have (`checkpoints.format`).
        """
        models = cls.__new__(cls)
        models.path, models._metadata = Path(name), {}
        models.layout, models.rounds = layout, tuple(rounds)
        models._file = _Arrays(arrays)
        return models

    @cached_property
    def _rows(self) -> dict[int, int]:
        """The row of each kept round."""
        return {number: row for row, number in enumerate(self.rounds)}

    @abstractmethod
    def _shapes(self) -> Shapes:
        """The tensors that a file of this layout and these rounds has."""

    def _row(self, name: str, number: int, *inner: int) -> Tensor:
        """Row of round `number`, without its leading axis; of `inner` axes only these entries are read."""
        if number not in self._rows:
            kept = ", ".join(map(str, self.rounds)) or "none"
            raise FedscapeError(f"{self.path}: round {number} is not kept; kept are {kept}")
        entries = self._rows[number], *inner
        part = self._read(name, tuple(slice(entry, entry + 1) for entry in entries))
        return torch.from_numpy(part.reshape(part.shape[len(entries) :]))

    def _read(self, name: str, part: tuple[slice, ...]) -> np.ndarray:
        """A part of a tensor, refused unless finite: a run that diverges ends with its last finite model."""
        with reading(self.path, f"{self.kind} file"):
            values = np.array(self._file.get_slice(name)[part])
            if not np.isfinite(values).all():
                raise ValueError(f"{name} that are NaN or infinite, which no run keeps")
        return values


class Trajectory(_Rows):
    """Reader of a run's global models, round by round (round 0 is the start)."""

    kind = "trajectory"

    def _shapes(self) -> Shapes:
        if not self.rounds:
            raise ValueError("it has no round")
        return trajectory_shapes(self.layout, len(self.rounds))

    @property
    def last(self) -> int:
        """The last kept round."""
        return self.rounds[-1]

    def number(self, moment: Moment, among: Sequence[int] = ()) -> int:
        """The number of a round: a share of the last kept one means the kept round nearest to it.

        A number is itself, whether it is kept or not. among: the rounds whose clients' models are kept, where
        those are meant.
        """
        if moment == "last":
            return self.last
        if isinstance(moment, float):
            return min(among or self.rounds, key=lambda number: abs(number - moment * self.last))
        return moment

    @property
    def diverged(self) -> bool:
        """Whether the run ended early, because its loss or its model was no longer finite."""
        return self._metadata.get("diverged") == "true"

    def parameters(self, number: int) -> Tensor:
        """Global parameters after round `number`: float32 [P]."""
        return self._row("parameters", number)

    def buffers(self, number: int) -> dict[str, Tensor]:
        """Global buffers after round `number`, by name (float and integer ones)."""
        return buffers_of(self._row("buffers", number), self._row("counters", number), self.layout)

    def state(self, number: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parameters (views of one vector) and buffers after round `number`, by name."""
        return parameters_of(self.parameters(number), self.layout), self.buffers(number)

    def columns(self, start: int, stop: int) -> np.ndarray:
        """Parameters `start` to `stop` of every kept round: float32 [kept, stop - start].

        Only this slice is read, so a trajectory larger than memory can be walked block by block.
        """
        return self._read("parameters", np.s_[:, start:stop])


class ClientModels(_Rows):
    """Reader of the models that clients handed back, before aggregation, in the rounds that keep them."""

    kind = "clients"

    def _shapes(self) -> Shapes:
        return clients_shapes(self.layout, len(self.rounds), self.participants, self.path_points)

    @cached_property
    def participants(self) -> int:
        """Clients per round."""
        return self._file.get_slice("clients").get_shape()[1]

    def clients(self, number: int) -> np.ndarray:
        """Numbers of the clients that took part in round `number`: int64 [participants], ascending."""
        return self._row("clients", number).numpy()

    @cached_property
    def path_points(self) -> int:
        """Models kept of each client between its local epochs, before the one it hands back; 0 for none."""
        name = f"{PATH_PREFIX}parameters"
        return self._file.get_slice(name).get_shape()[2] if name in self._file.keys() else 0  # noqa: SIM118

    def parameters(self, number: int, client: int, epoch: int | None = None) -> Tensor:
        """Parameters that a client handed back in round `number`, or had after a local epoch: float32 [P]."""
        prefix, indices = self._entry(number, client, epoch)
        return self._row(f"{prefix}parameters", number, *indices)

    def buffers(self, number: int, client: int, epoch: int | None = None) -> dict[str, Tensor]:
        """Buffers of such a model by name."""
        prefix, indices = self._entry(number, client, epoch)
        floats, counters = (
            self._row(f"{prefix}{name}", number, *indices) for name in ("buffers", "counters")
        )
        return buffers_of(floats, counters, self.layout)

    def _entry(self, number: int, client: int, epoch: int | None) -> tuple[str, list[int]]:
        """A model's position in the row of its round: the prefix of its tensors' names, and its indices."""
        participants = self.clients(number).tolist()
        if client not in participants:
            raise FedscapeError(f"{self.path}: client {client} was not in round {number}")
        index = participants.index(client)
        if epoch is None:
            return "", [index]
        if not 1 <= epoch <= self.path_points:
            kept = f"1 to {self.path_points}" if self.path_points else "none"
            raise FedscapeError(f"{self.path}: local epoch {epoch} is not kept; kept are {kept}")
        return PATH_PREFIX, [index, epoch - 1]
