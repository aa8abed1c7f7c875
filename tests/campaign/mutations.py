"""Mutations of files, here of any bytes: what happens to them on disks, on ways and in editors.

Each takes a random generator and the whole content. A *strict* one breaks what a file promises about itself
(its length, its shape, its columns, its checksum): nobody may compute another result from it. The others put one
plausible value for another, which no reader can tell from a measurement.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

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


def zeros(rng: random.Random, content: bytes) -> bytes:
    """A block of NUL bytes in place of others."""
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
    Mutation("a block of zeros", zeros),
    Mutation("noise", _noise),
    Mutation("a flipped bit", _flip),
)
BYTES = (*WHOLE, *ALTERED)
VALUES = tuple(Mutation(one.name, one.mutate, strict=False) for one in ALTERED)
"""The same where no checksum covers a file: it may become another file of the same kind."""
