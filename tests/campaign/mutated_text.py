"""Mutations of what is nested: JSON, study files and settings."""

import json
import random
import sys
from collections.abc import Iterable

import yaml
from mutations import ALTERED, VALUES, WHOLE, Mutation


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
            damaged = rng.choice(ALTERED).mutate(rng, "".join(lines).encode("utf-8", "surrogateescape"))
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
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * limit)  # lists may be nested deeper than what writes YAML goes by itself
    try:
        return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    finally:
        sys.setrecursionlimit(limit)
