"""The format of `trajectory.safetensors` and `clients.safetensors`, the files that keep a run's models.

Both are ordinary safetensors files: three tensors, `parameters` float32, `buffers` float32 and
`counters` int64, whose last axis is a model flattened as `checkpoints.layout` says. The first axis is the
kept round; the clients' file has the participant between the two and a tensor `clients` with their
numbers. Where a method keeps clients' paths, it also has `path_parameters`, `path_buffers` and
`path_counters`, with the local epoch as third axis. The metadata holds the layout and the round
numbers as JSON.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from fedscape.checkpoints.layout import Layout

VECTORS = ("parameters", "buffers", "counters")
"""The tensors that hold models, in the order in which a flattened model names its vectors."""
PATH_PREFIX = "path_"
"""Prefix of the tensors that hold clients' models between their local epochs."""
HEADER_ALIGNMENT = 8  # bytes: the header is padded to the widest type, so no row straddles a word
LENGTH_BYTES = 8  # a safetensors file opens with the header's length, little-endian
DTYPES = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
Shapes = Mapping[str, tuple[str, tuple[int, ...]]]  # name -> key of DTYPES, shape


def trajectory_shapes(layout: Layout, rounds: int) -> Shapes:
    """The tensors of a trajectory of `rounds` kept rounds."""
    return _model_shapes(layout, (rounds,))


def clients_shapes(layout: Layout, rounds: int, participants: int, path_points: int) -> Shapes:
    """The tensors of a clients' file; path_points: models kept between a client's epochs, 0 for none."""
    rows = rounds, participants
    shapes = {"clients": ("I64", rows), **_model_shapes(layout, rows)}
    path_shapes = _model_shapes(layout, (*rows, path_points)) if path_points else {}
    return shapes | {PATH_PREFIX + name: shape for name, shape in path_shapes.items()}


def file_metadata(kind: str, layout: Layout, rounds: Sequence[int]) -> dict[str, str]:
    """A file's description of itself; kind: `trajectory` or `clients`."""
    return {"kind": kind, "layout": layout.to_json(), "rounds": json.dumps(list(rounds))}


def storage_order(shapes: Shapes) -> Shapes:
    """Tensors in safetensors' own order: widest type first, so that all are aligned, then by name."""
    return dict(sorted(shapes.items(), key=lambda item: (-DTYPES[item[1][0]].itemsize, item[0])))


def byte_size(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor."""
    return DTYPES[dtype].itemsize * int(np.prod(shape, dtype=np.int64))


def encoded_header(shapes: Shapes, metadata: dict[str, str]) -> tuple[dict[str, int], bytes]:
    """Offsets of the tensors in the file, and the file's bytes before the first one."""
    # Sorted, because safetensors reads metadata back in any order.
    entries: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    begins, end = {}, 0
    for name, (dtype, shape) in shapes.items():
        begins[name], end = end, end + byte_size(dtype, shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begins[name], end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT)
    start = LENGTH_BYTES + len(text)
    encoded = len(text).to_bytes(LENGTH_BYTES, "little") + text
    return {name: start + begin for name, begin in begins.items()}, encoded


def _model_shapes(layout: Layout, rows: tuple[int, ...]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        "parameters": ("F32", (*rows, layout.parameter_count)),
        "buffers": ("F32", (*rows, layout.buffer_count)),
        "counters": ("I64", (*rows, layout.counter_count)),
    }
