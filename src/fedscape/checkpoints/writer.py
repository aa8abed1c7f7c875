"""Writers of a run's models: files that are created at full length and filled row by row.

The caller commits a row elsewhere (the resume folder's progress) after `flush`, so a kill leaves at worst a
row that is written again. Rows go through ordinary writes, not a memory map: on a full disk a write
raises, a map kills the process.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import safe_open
from torch import Tensor

from fedscape.checkpoints.format import (
    DTYPES,
    Shapes,
    byte_size,
    clients_shapes,
    encoded_header,
    file_metadata,
    storage_order,
    trajectory_shapes,
)
from fedscape.checkpoints.layout import Layout
from fedscape.files import atomic

COPY_BYTES = 64 * 2**20  # a shortened copy passes through memory in pieces of this size


class RowWriter:
    """A safetensors file at its final length, filled by rows of the first axis.

    Every tensor has the same number of rows. A file of exactly these shapes and metadata is continued
    (a resumed run); any other is replaced by one without rows, and `is_new` says so.
    """

    def __init__(self, path: Path, shapes: Shapes, metadata: dict[str, str]):
        self.path = path
        self.shapes = storage_order(shapes)
        self.offsets, header = encoded_header(self.shapes, metadata)
        length = len(header) + sum(byte_size(*shape) for shape in self.shapes.values())
        self.is_new = not _starts_with(path, header) or path.stat().st_size != length
        if self.is_new:
            with atomic(path) as temporary, temporary.open("wb") as file:
                file.write(header)
                file.truncate(length)
        self.file = path.open("r+b", buffering=0)

    def write(self, row: int, index: int | None = None, **values: Tensor | np.ndarray) -> None:
        """Write row `row` of each named tensor, or only entry `index` of the row's first axis."""
        for name, value in values.items():
            dtype, shape = self.shapes[name]
            array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
            array = np.asarray(array, dtype=DTYPES[dtype], order="C")
            inner = shape[1:] if index is None else shape[2:]
            if array.shape != inner:
                raise ValueError(f"{self.path}: {name} takes arrays of shape {inner}, got {array.shape}")
            entry = row if index is None else row * shape[1] + index
            self.file.seek(self.offsets[name] + entry * array.nbytes)
            write_all(self.file, array)

    def flush(self) -> None:
        """Make what was written survive a power cut."""
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()


def trajectory_writer(path: Path, layout: Layout, rounds: Sequence[int]) -> RowWriter:
    """Writer of `trajectory.safetensors`: row i is the global model after round `rounds[i]`."""
    shapes = trajectory_shapes(layout, len(rounds))
    return RowWriter(path, shapes, file_metadata("trajectory", layout, rounds))


def clients_writer(
    path: Path, layout: Layout, rounds: Sequence[int], participants: int, path_points: int = 0
) -> RowWriter:
    """Writer of `clients.safetensors`: row i holds the `participants` client models of `rounds[i]`.

    path_points: models that are kept between a client's local epochs, before the one it hands back.
    """
    shapes = clients_shapes(layout, len(rounds), participants, path_points)
    return RowWriter(path, shapes, file_metadata("clients", layout, rounds))


def shorten(path: Path, rounds: Sequence[int]) -> None:
    """End a diverged run's file early, atomically: keep one row for each of `rounds`, and say so in it.

    The rows are the first ones of the file; a row may be assigned another round than it was meant for. Does
    nothing to a file that has just these rounds.
    """
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        shapes = {name: (piece.get_dtype(), tuple(piece.get_shape())) for name, piece in slices.items()}
    kept = json.dumps(list(rounds))
    if metadata["rounds"] == kept:
        return
    shapes = storage_order(shapes)
    offsets, _ = encoded_header(shapes, metadata)
    shorter = {name: (dtype, (len(rounds), *shape[1:])) for name, (dtype, shape) in shapes.items()}
    _, header = encoded_header(shorter, {**metadata, "rounds": kept, "diverged": "true"})
    with atomic(path) as temporary, temporary.open("wb") as copy, path.open("rb") as whole:
        copy.write(header)
        for name, shape in shorter.items():
            whole.seek(offsets[name])
            left = byte_size(*shape)
            while left:
                left -= copy.write(whole.read(min(left, COPY_BYTES)))


def write_all(file, array: np.ndarray) -> None:
    """Write a whole array: a single unbuffered write may be partial (beyond 2 GB it is)."""
    view = array.data.cast("B") if array.nbytes else memoryview(b"")
    while view:
        view = view[file.write(view) :]


def _starts_with(path: Path, header: bytes) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(header)) == header
