"""Mutations of files: what happens to bytes, tables, JSON, arrays and study files on disks and in editors.

Each takes a random generator and the whole content. A *strict* one breaks what a file promises about itself
(its length, its shape, its columns, its checksum): nobody may compute another result from it. The others put one
plausible value for another, which no reader can tell from a measurement.
"""

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import yaml

Mutate = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True)
class Mutation:
    """One way to damage a file; strict: another result may not come of it."""

    name: str
    mutate: Mutate
    strict: bool = True


# Bytes


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)] if rng.random() < 0.8 else content[:-1]


def _at(rng: random.Random, content: bytes) -> tuple[int, int]:
    """Two places, often close to each other, often near the head, where formats say what they are."""
    size = len(content)
    first = rng.randrange(min(size, 256) if rng.random() < 0.3 else size) if size else 0
    return first, min(size, first + rng.choice([1, 2, 8, 64, 4096]))


def _flip(rng: random.Random, content: bytes) -> bytes:
    at, _ = _at(rng, content)
    return (
        content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :] if content else b"x"
    )


def _zeros(rng: random.Random, content: bytes) -> bytes:
    at, end = _at(rng, content)
    return content[:at] + bytes(end - at) + content[end:]


def _lost(rng: random.Random, content: bytes) -> bytes:
    at, end = _at(rng, content)
    return content[:at] + content[end:]


def _doubled(rng: random.Random, content: bytes) -> bytes:
    at, end = _at(rng, content)
    return content[:end] + content[at:]


def _noise(rng: random.Random, content: bytes) -> bytes:
    at, end = _at(rng, content)
    return content[:at] + rng.randbytes(end - at) + content[end:]


def _more(rng: random.Random, content: bytes) -> bytes:
    return content + rng.choice([b"\0", b"\n", b"x", b"1,2\n", rng.randbytes(64)])


WHOLE = (
    Mutation("empty", lambda rng, content: b""),
    Mutation("cut off", _cut),
    Mutation("all zeros", lambda rng, content: bytes(len(content))),
)
ALTERED = (
    Mutation("bytes lost", _lost),
    Mutation("bytes doubled", _doubled),
    Mutation("bytes added", _more),
    Mutation("a block of zeros", _zeros),
    Mutation("noise", _noise),
    Mutation("a flipped bit", _flip),
)
BYTES = (*WHOLE, *ALTERED)
VALUES = tuple(Mutation(one.name, one.mutate, strict=False) for one in ALTERED)
"""The same where no checksum covers a file: it may become another file of the same kind."""


# CSV


def _table(content: bytes) -> list[list[str]]:
    return [line.split(",") for line in content.decode().splitlines()]


def _csv(rows: Iterable[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


def _of_table(change: Callable[[random.Random, list[list[str]]], list[list[str]]]) -> Mutate:
    """A change of header and rows; a closing empty line stays as it is."""

    def mutate(rng: random.Random, content: bytes) -> bytes:
        end = b"\n" if content.endswith(b"\n\n") else b""
        rows = _table(content[: len(content) - len(end)])
        return _csv(change(rng, rows)) + end

    return mutate


def _row(rng: random.Random, rows: list[list[str]]) -> int:
    return rng.randrange(1, len(rows)) if len(rows) > 1 else 0


def _without_row(rng, rows):
    at = _row(rng, rows)
    return rows[:at] + rows[at + 1 :]


def _row_twice(rng, rows):
    at = _row(rng, rows)
    return [*rows[:at], rows[at], *rows[at:]]


def _rows_of(change):
    """A change of every row at one random column."""

    def mutate(rng, rows):
        at = rng.randrange(len(rows[0]))
        return [change(row, at) for row in rows]

    return _of_table(mutate)


def _names_swapped(rng, rows):
    head = list(rows[0])
    one, other = rng.randrange(len(head)), rng.randrange(len(head))
    head[one], head[other] = head[other], head[one]
    return [head, *rows[1:]]


def _renamed(rng, rows):
    head = list(rows[0])
    head[rng.randrange(len(head))] = rng.choice(["", "x", "loss", "seed", " ", "Unnamed: 0"])
    return [head, *rows[1:]]


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cell(values: Iterable[str], numbers: bool = True) -> Mutate:
    """One cell that holds a number, or any, becomes another."""
    values = list(values)

    def mutate(rng, rows):
        spots = [
            (i, j)
            for i, row in enumerate(rows)
            if i
            for j, cell in enumerate(row)
            if _number(cell) or not numbers
        ]
        if not spots:
            return rows[:1]
        i, j = rng.choice(spots)
        rows[i] = [*rows[i][:j], rng.choice(values), *rows[i][j + 1 :]]
        return rows

    return _of_table(mutate)


def _digit(rng, rows):
    spots = [
        (i, j) for i, row in enumerate(rows) if i for j, cell in enumerate(row) if any(map(str.isdigit, cell))
    ]
    if not spots:
        return rows[:1]
    i, j = rng.choice(spots)
    cell = rows[i][j]
    at = rng.choice([k for k, one in enumerate(cell) if one.isdigit()])
    rows[i][j] = cell[:at] + rng.choice("0123456789") + cell[at + 1 :]
    return rows


CSV = (
    *WHOLE,
    Mutation("cut at a line's end", lambda rng, content: b"".join(content.splitlines(True)[: rng.randrange(1 + content.count(b"\n"))])),
    Mutation("header only", lambda rng, content: content.split(b"\n")[0] + b"\n"),
    Mutation("a row lost", _of_table(_without_row)),
    Mutation("a row twice", _of_table(_row_twice)),
    Mutation("a column lost", _rows_of(lambda row, at: row[:at] + row[at + 1 :])),
    Mutation("a column twice", _rows_of(lambda row, at: row[: at + 1] + row[at:])),
    Mutation("names swapped", _of_table(_names_swapped)),
    Mutation("a column renamed", _of_table(_renamed)),
    Mutation("NUL bytes", lambda rng, content: _zeros(rng, content)),
    Mutation("no number", _cell(["nan", "NaN", "inf", "-inf", "1e999", "abc", "1,5", "0x10", "1_0", "True", "--"])),
    Mutation("an empty cell", _cell([""])),
    Mutation("a quote", _cell(['"', '"a', 'a"b'], numbers=False)),
    Mutation("a control character", _cell(["\x1b[31m", "\x00", "\u2028", "\x7f"], numbers=False)),
    Mutation("a very long cell", _cell(["9" * 5000, "x" * 200_000])),
    Mutation("another name", _cell(["x", "", "*", "iid", "<b>", "a|b"], numbers=False), strict=False),
    Mutation("another digit", _of_table(_digit), strict=False),
    *VALUES,
)  # fmt: skip


# JSON


def places(content: object, above: tuple = ()) -> Iterable[tuple]:
    """Every place of nested maps and lists, the whole one included."""
    yield above
    if isinstance(content, (dict, list)):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield from places(content[key], (*above, key))


def inner(content: object, place: tuple) -> object:
    """What stands at a place."""
    for key in place:
        content = content[key]
    return content


HOSTILE = (
    None, True, False, "", "x", "../..", "/etc/passwd", "a\nb", "\x1b[31m", "é" * 300, -1, 0, 1, 2**31, 2**63, 10**30,
    -0.0, 0.5, 1e308, -1e308, 1e-320, float("nan"), float("inf"), [], {}, [[]], [None], {"x": 1}, [1, [2]], {"": ""},
)  # fmt: skip
"""Values that a place may hold in the file of somebody who means no good, or nothing."""


def altered(rng: random.Random, content: object, names: Iterable[str] = ()) -> object:
    """One place changed, taken out, added to, or filled with another place's content."""
    content = json.loads(json.dumps(content))
    spots = [place for place in places(content) if place]
    if not spots:
        return rng.choice(HOSTILE)
    *above, last = rng.choice(spots)
    there = inner(content, tuple(above))
    how = rng.choice(["change", "change", "remove", "add", "copy", "deep"])
    if how == "remove":
        del there[last]
    elif how == "add" and isinstance(there, dict):
        there[rng.choice([*names, "x", "", "0", "__class__"])] = rng.choice(HOSTILE)
    elif how == "copy":
        there[last] = json.loads(json.dumps(inner(content, rng.choice(spots))))
    elif how == "deep":
        value = there[last]
        for _ in range(rng.choice([1, 2, 200])):
            value = [value]
        there[last] = value
    else:
        there[last] = rng.choice(HOSTILE)
    return content


def _json(rng: random.Random, content: bytes) -> bytes:
    return json.dumps(altered(rng, json.loads(content)), indent=2).encode()


JSON = (
    *WHOLE,
    Mutation("another place", _json, strict=False),
    Mutation(
        "no object", lambda rng, content: rng.choice([b"[]", b"null", b"0", b'"x"', b"NaN", b"{}", b"[{}]"])
    ),
    Mutation("too deep", lambda rng, content: b"[" * 100_000 + b"]" * 100_000),
    Mutation("a huge number", lambda rng, content: b'{"x": 1' + b"0" * 5000 + b"}"),
    *VALUES,
)


# Arrays


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


# Study files and settings, as text

NAMES = (
    "iid", "dirichlet", "convnet", "cnn", "fedavg", "random", "digits", "last", "all", "train", "kind", "lr", "rounds",
    "grid", "where", "runs", "scales", "x",
)  # fmt: skip
TOKENS = (
    "&a", "*a", "<<: *a", "[", "]", "{", "}", ": ", "- ", "!!int", "!!python/object:x", "|", ">", "#", "'", '"', "\t",
    "? ", "---\n", "...\n", "%YAML 1.1\n", "~", ".nan", ".inf", "1:30", "010", "1_0", "0x1f", "0o17", "1e9999", "yes",
    "2026-11-22", "\ufeff", "\0", "\x85", "\u2028", "\r", "😀",
)  # fmt: skip


def study_text(rng: random.Random, text: str) -> str:
    """A study file with tokens put in, lines moved, lost, doubled or indented, or bytes damaged."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        lines = text.splitlines(True) or ["\n"]
        at = rng.randrange(len(lines))
        how = rng.choice(["token", "token", "lose", "double", "move", "indent", "bytes"])
        if how == "token":
            spot = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:spot] + rng.choice(TOKENS) + lines[at][spot:]
        elif how == "lose":
            del lines[at]
        elif how == "double":
            lines.insert(at, lines[at])
        elif how == "move":
            lines.insert(rng.randrange(len(lines)), lines.pop(at))
        elif how == "indent":
            lines[at] = (
                rng.choice([" ", "  ", "\t"]) + lines[at] if rng.random() < 0.5 else lines[at].lstrip()
            )
        else:
            damaged = rng.choice(ALTERED).mutate(rng, "".join(lines).encode())
            lines = [damaged.decode("utf-8", "surrogateescape")]
        text = "".join(lines)
    return text


def study_values(rng: random.Random, text: str) -> str:
    """A study file with one to three places of its content changed, taken out, added or filled with others."""
    content = yaml.load(text, yaml.CSafeLoader)
    for _ in range(rng.choice([1, 1, 2, 3])):
        content = altered(rng, content, NAMES)
        if not isinstance(content, dict):
            break
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
