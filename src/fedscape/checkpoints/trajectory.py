"""The files that keep a run's models: `trajectory.safetensors` and `clients.safetensors`.

Both are ordinary safetensors files: three tensors, `parameters` float32, `buffers` float32 and
`counters` int64, whose last axis is a model flattened as `models.layout` says. The first axis is the
kept round; the clients' file has the participant between the two and a tensor `clients` with their
numbers. Where a method keeps clients' paths, it also has `path_parameters`, `path_buffers` and
`path_counters`, with the point on the way as third axis. The metadata holds the layout and the round
numbers as JSON.

A file is made at full length and filled row by row. The caller commits a row elsewhere (the resume
folder's progress) after `flush`, so a kill leaves at worst a row that is written once more. Rows go
through ordinary writes, not a memory map: on a full disk a write raises, a map kills the process.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from fedscape.checkpoints.layout import Layout, buffers_of, parameters_of
from fedscape.errors import FedscapeError
from fedscape.files import atomic, reading

GLOBAL = -1
"""In place of a client's number, wherever clients' models are listed: the global model."""

HEADER_ALIGNMENT = 8  # bytes: the header is padded to the widest type, so no row straddles a word
LENGTH_BYTES = 8  # a safetensors file opens with the header's length, little-endian
PATH_PREFIX = "path_"  # of the tensors that hold clients' models between their local epochs
COPY_BYTES = 64 * 2**20  # a shortened copy passes through memory in pieces of this size
Shapes = Mapping[str, tuple[str, tuple[int, ...]]]  # name -> key of DTYPES, shape
DTYPES = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}


class RowWriter:
    """A safetensors file at its final length, filled by rows of the first axis.

    Every tensor has the same number of rows. A file of exactly these shapes and metadata is written on
    (a resumed run); any other is made anew, and `made_anew` says so.
    """

    def __init__(self, path: Path, shapes: Shapes, metadata: dict[str, str]):
        self.path = path
        self.shapes = _ordered(shapes)
        self.offsets, header = _header(self.shapes, metadata)
        length = len(header) + sum(_size(*shape) for shape in self.shapes.values())
        self.made_anew = not _starts_with(path, header) or path.stat().st_size != length
        if self.made_anew:
            with atomic(path) as temporary, temporary.open("wb") as file:
                file.write(header)
                file.truncate(length)
        self.file = path.open("r+b", buffering=0)

    def write(self, row: int, place: int | None = None, **values: Tensor | np.ndarray) -> None:
        """Write row `row` of each named tensor, or only entry `place` of the row's first axis."""
        for name, value in values.items():
            dtype, shape = self.shapes[name]
            array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
            array = np.asarray(array, dtype=DTYPES[dtype], order="C")
            inner = shape[1:] if place is None else shape[2:]
            if array.shape != inner:
                raise ValueError(f"{self.path}: {name} takes arrays of shape {inner}, got {array.shape}")
            entry = row if place is None else row * shape[1] + place
            self.file.seek(self.offsets[name] + entry * array.nbytes)
            write_all(self.file, array)

    def flush(self) -> None:
        """Make what was written survive a power cut."""
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()


def trajectory_writer(path: Path, layout: Layout, rounds: Sequence[int]) -> RowWriter:
    """Writer of `trajectory.safetensors`: row i is the global model after round `rounds[i]`."""
    return RowWriter(path, _model_shapes(layout, (len(rounds),)), _metadata("trajectory", layout, rounds))


def clients_writer(
    path: Path, layout: Layout, rounds: Sequence[int], participants: int, path_points: int = 0
) -> RowWriter:
    """Writer of `clients.safetensors`: row i holds the `participants` client models of `rounds[i]`.

    path_points: models that are kept of each client's way there, before the one it hands back.
    """
    shapes = _client_shapes(layout, (len(rounds), participants), path_points)
    return RowWriter(path, shapes, _metadata("clients", layout, rounds))


def shorten(path: Path, rounds: Sequence[int]) -> None:
    """End a diverged run's file early, atomically: keep one row for each of `rounds`, and say so in it.

    The rows are the first ones of the file; a row may be given another round than it was made for. Does
    nothing to a file that has just these rounds.
    """
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        shapes = {name: (piece.get_dtype(), tuple(piece.get_shape())) for name, piece in slices.items()}
    kept = json.dumps(list(rounds))
    if metadata["rounds"] == kept:
        return
    shapes = _ordered(shapes)
    offsets, _ = _header(shapes, metadata)
    shorter = {name: (dtype, (len(rounds), *shape[1:])) for name, (dtype, shape) in shapes.items()}
    _, header = _header(shorter, {**metadata, "rounds": kept, "diverged": "true"})
    with atomic(path) as temporary, temporary.open("wb") as copy, path.open("rb") as whole:
        copy.write(header)
        for name, shape in shorter.items():
            whole.seek(offsets[name])
            left = _size(*shape)
            while left:
                left -= copy.write(whole.read(min(left, COPY_BYTES)))


class _Rows:
    """What both readers share: an open file, its layout and rounds. `_shapes` has the tensors of these."""

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
            self._rows = {number: row for row, number in enumerate(self.rounds)}
            for name, wanted in self._shapes().items():
                piece = self._file.get_slice(name)
                found = piece.get_dtype(), tuple(piece.get_shape())
                if found != wanted:
                    raise ValueError(f"{name} is {_spelled(found)}, not {_spelled(wanted)}")

    @classmethod
    def open(cls, path: str | Path):
        """Open for reading; nothing is loaded yet. A corrupt or cut-off file is named in a FedscapeError."""
        return cls(path)

    def _row(self, name: str, number: int) -> Tensor:
        """Row of round `number`, without its leading axis."""
        if number not in self._rows:
            kept = ", ".join(map(str, self.rounds)) or "none"
            raise FedscapeError(f"{self.path}: round {number} is not kept; kept are {kept}")
        row = self._rows[number]
        return torch.from_numpy(self._read(name, np.s_[row : row + 1])[0])

    def _read(self, name: str, place: slice | tuple[slice, slice]) -> np.ndarray:
        """A part of a tensor. A run keeps finite models alone: one that diverged ends with its last."""
        with reading(self.path, f"{self.kind} file"):
            found = np.array(self._file.get_slice(name)[place])
            if not np.isfinite(found).all():
                raise ValueError(f"{name} that are NaN or infinite, which no run keeps")
        return found


class Trajectory(_Rows):
    """Reader of a run's global models, round by round (round 0 is the start)."""

    kind = "trajectory"

    def _shapes(self) -> Shapes:
        if not self.rounds:
            raise ValueError("it has no round")
        return _model_shapes(self.layout, (len(self.rounds),))

    @property
    def last(self) -> int:
        """The last kept round."""
        return self.rounds[-1]

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
        return _client_shapes(self.layout, (len(self.rounds), self.participants), self.path_points)

    @cached_property
    def participants(self) -> int:
        """Clients per round."""
        return self._file.get_slice("clients").get_shape()[1]

    def clients(self, number: int) -> np.ndarray:
        """Numbers of the clients that took part in round `number`: int64 [participants], ascending."""
        return self._row("clients", number).numpy()

    @cached_property
    def path_points(self) -> int:
        """Models kept of each client's way, before the one it hands back; 0 where none are."""
        name = f"{PATH_PREFIX}parameters"
        return self._file.get_slice(name).get_shape()[2] if name in self._file.keys() else 0  # noqa: SIM118

    def path_parameters(self, number: int) -> Tensor:
        """Parameters between local epochs, first to last: float32 [participants, path_points, P]."""
        return self._row(f"{PATH_PREFIX}parameters", number)

    def path_buffers(self, number: int, place: int, point: int) -> dict[str, Tensor]:
        """Buffers by name of the client at `place` in `clients(number)`, at a point of its way (0: first)."""
        floats, integers = (self._row(PATH_PREFIX + name, number) for name in ("buffers", "counters"))
        return buffers_of(floats[place, point], integers[place, point], self.layout)

    def parameters(self, number: int) -> Tensor:
        """Client parameters of round `number`: float32 [participants, P], in the order of `clients`."""
        return self._row("parameters", number)

    def buffers(self, number: int, place: int) -> dict[str, Tensor]:
        """Buffers by name of the client at `place` in `clients(number)`."""
        floats, integers = self._row("buffers", number), self._row("counters", number)
        return buffers_of(floats[place], integers[place], self.layout)


def _model_shapes(layout: Layout, rows: tuple[int, ...]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        "parameters": ("F32", (*rows, layout.parameter_count)),
        "buffers": ("F32", (*rows, layout.buffer_count)),
        "counters": ("I64", (*rows, layout.counter_count)),
    }


def _client_shapes(layout: Layout, rows: tuple[int, int], path_points: int) -> Shapes:
    shapes = {"clients": ("I64", rows), **_model_shapes(layout, rows)}
    on_the_way = _model_shapes(layout, (*rows, path_points)) if path_points else {}
    return shapes | {PATH_PREFIX + name: shape for name, shape in on_the_way.items()}


def _spelled(tensor: tuple[str, tuple[int, ...]]) -> str:
    """`F32 [3, 10]`"""
    return f"{tensor[0]} {list(tensor[1])}"


def _ordered(shapes: Shapes) -> Shapes:
    """Tensors in safetensors' own order: widest type first, so that all are aligned, then by name."""
    return dict(sorted(shapes.items(), key=lambda item: (-DTYPES[item[1][0]].itemsize, item[0])))


def _metadata(kind: str, layout: Layout, rounds: Sequence[int]) -> dict[str, str]:
    return {"kind": kind, "layout": layout.to_json(), "rounds": json.dumps(list(rounds))}


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor."""
    return DTYPES[dtype].itemsize * int(np.prod(shape, dtype=np.int64))


def _header(shapes: Shapes, metadata: dict[str, str]) -> tuple[dict[str, int], bytes]:
    """Offsets of the tensors in the file, and the bytes before the first one."""
    # Sorted, because safetensors reads metadata back in any order.
    entries: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    begins, end = {}, 0
    for name, (dtype, shape) in shapes.items():
        begins[name], end = end, end + _size(dtype, shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begins[name], end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT)
    start = LENGTH_BYTES + len(text)
    header = len(text).to_bytes(LENGTH_BYTES, "little") + text
    return {name: start + begin for name, begin in begins.items()}, header


def _starts_with(path: Path, header: bytes) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(header)) == header


def write_all(file, array: np.ndarray) -> None:
    """An unbuffered write may be partial (beyond 2 GB it is)."""
    view = memoryview(array).cast("B") if array.nbytes else memoryview(b"")
    while view:
        view = view[file.write(view) :]
