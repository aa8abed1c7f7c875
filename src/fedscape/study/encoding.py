"""Settings on their way from a study file to a job: one sorted list of `name=<json>` strings.

Snakemake compares the values of a rule's params, not their names: swapped values, renamed keys and most
types beyond the builtin ones go unnoticed. A string that carries its own name, in one canonical
spelling, closes these holes and makes the reason for a rerun readable.
"""

import json
import sys
from collections.abc import Iterator, Mapping

_JSON = json.JSONEncoder(sort_keys=True)  # `json.dumps` would make one for each value


def encode(settings: Mapping[str, object]) -> list[str]:
    """Nested settings as sorted `a.b=<json>` strings; names hold no dot, values are builtin types.

    Interned: thousands of jobs share most of their strings.
    """
    return sorted(sys.intern(f"{name}={_JSON.encode(value)}") for name, value in _flat(settings, ""))


def decode(strings: list[str]) -> dict:
    """The nested settings that `encode` was given; the digest `code=` that a job carries is left out."""
    settings: dict = {}
    for string in strings:
        name, _, value = string.partition("=")
        if name == "code":
            continue
        *parents, leaf = name.split(".")
        inner = settings
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = json.loads(value)
    return settings


def _flat(settings: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
