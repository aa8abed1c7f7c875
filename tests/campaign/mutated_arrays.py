"""Mutations of arrays and models: safetensors, npz and npy."""

import io
import json
import random
import struct
import zipfile

import numpy as np
from mutated_text import altered
from mutations import BYTES, VALUES, WHOLE, Mutation


def _header(content: bytes) -> tuple[dict, bytes]:
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def _with_header(header: dict, rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + rest


def _lying(rng: random.Random, content: bytes) -> bytes:
    """A safetensors file whose header says something else than what follows it."""
    header, rest = _header(content)
    name = rng.choice([key for key in header if key != "__metadata__"])
    entry = header[name]
    how = rng.choice(["shape", "turned", "dtype", "offset", "name", "gone", "metadata", "size"])
    if how == "shape":
        entry["shape"] = rng.choice([[], [0], [10**12], [2**62, 4], [-1], [*entry["shape"], 1], ["x"], None])
    elif how == "turned":
        entry["shape"] = entry["shape"][::-1] if len(set(entry["shape"])) > 1 else [1, *entry["shape"]]
    elif how == "dtype":
        entry["dtype"] = rng.choice(
            [one for one in ("F64", "F16", "I32", "BOOL", "x") if one != entry["dtype"]]
        )
    elif how == "offset":
        first, last = entry["data_offsets"]
        entry["data_offsets"] = rng.choice(
            [[first, last + 8], [first + 4, last + 4], [last, first], [0, 2**62], []]
        )
    elif how == "name":
        header[rng.choice(["x", "", f"{name}.x"])] = header.pop(name)
    elif how == "gone":
        del header[name]
    elif how == "metadata":
        header["__metadata__"] = altered(rng, header.get("__metadata__", {}))
        header["__metadata__"] = header["__metadata__"] if isinstance(header["__metadata__"], dict) else {}
    else:
        return struct.pack("<Q", rng.choice([0, 1, 2**63, 2**40, len(content)])) + content[8:]
    return _with_header(header, rest)


def _not_finite(rng: random.Random, content: bytes) -> bytes:
    """A safetensors file of float32 with a number in it that is none."""
    header, rest = _header(content)
    spots = [
        one["data_offsets"] for key, one in header.items() if key != "__metadata__" and one["dtype"] == "F32"
    ]
    spots = [(first, last) for first, last in spots if last > first]
    if not spots:
        return content[:-1]
    first, last = rng.choice(spots)
    at = first + 4 * rng.randrange((last - first) // 4)
    value = struct.pack("<f", rng.choice([float("nan"), float("inf"), float("-inf")]))
    return _with_header(header, rest[:at] + value + rest[at + 4 :])


SAFETENSORS = (
    *WHOLE,
    Mutation("a header that lies", _lying),
    Mutation("a header that lies", _lying),
    Mutation("not finite", _not_finite),
    *VALUES,
)


def _members(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as found:
        return dict(found)


def _npz(rng: random.Random, content: bytes) -> bytes:
    """A whole archive with an array of another shape, type or number in it, without one, or with one more."""
    arrays = _members(content)
    name = rng.choice(list(arrays))
    array = arrays[name]
    other = {
        "type": lambda: array.astype(rng.choice(["f4", "i1", "U3", "c8", "?"])) if array.dtype.kind in "iuf" else array[..., None],
        "shape": lambda: array[..., None],
        "shorter": lambda: array[:-1] if array.ndim and len(array) else np.zeros(3),
        "longer": lambda: np.concatenate([array, array]) if array.ndim else np.zeros(3),
        "numbers": lambda: np.full_like(array, -1) if array.dtype.kind in "if" else np.zeros(2),
        "large": lambda: np.full_like(array, 2**30) if array.dtype.kind == "i" else np.zeros((0, 4)),
        "none": lambda: np.float64("nan"),
    }  # fmt: skip
    how = rng.choice([*other, "gone", "more"])
    if how == "gone":
        del arrays[name]
    elif how == "more":
        arrays["x"] = array
    else:
        arrays[name] = other[how]()
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _bomb(rng: random.Random, content: bytes) -> bytes:
    """An archive of some kilobytes whose array unpacks to four gigabytes, or says that it does."""
    out = io.BytesIO()
    name = rng.choice(list(_members(content)))
    header = io.BytesIO()
    said = {"descr": "<f4", "fortran_order": False, "shape": (2**30,)}
    np.lib.format.write_array_header_1_0(header, said)
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{name}.npy", "w") as member,
    ):
        member.write(header.getvalue() + bytes(1 << 20))
    return out.getvalue()


NPZ = (*BYTES, Mutation("another array", _npz), Mutation("another array", _npz), Mutation("a bomb", _bomb))


def _npy(rng: random.Random, content: bytes) -> bytes:
    """An array file of the same length whose header says something else."""
    start = content.index(b"'shape': ")
    head, rest = content[:start], content[start:]
    old = rest[: rest.index(b"\n")]
    new = rng.choice(
        [b"'shape': (1000000000000,), }", b"'shape': (3,), }", b"'shape': (-1,), }", b"'shape': (), }"]
    )
    return head + new.ljust(len(old))[: len(old)] + rest[len(old) :]


NPY = (*BYTES, Mutation("a shape that lies", _npy))
