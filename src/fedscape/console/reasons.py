"""Why Snakemake runs a job, in few words: its own sentence names every file, and all settings twice."""

import ast
import re
from collections.abc import Iterable

from fedscape.jobs.recorded import VOID

NEW = "not there yet"
BELOW = "made from what is new"
# How Snakemake's sentence begins, and what it means to a reader; what follows is looked at in `short_reason`.
_BEGINNINGS = {
    "Missing output files": NEW,
    "Incomplete output files": "cut off before",
    "Updated input files": "newer input",
    "Input files updated by another job": BELOW,
    "Forced execution": "forced",
    "Set of input files has changed": "other inputs than before",
    "Code has changed": "its rule has changed",
    "Params have changed": "settings have changed",
    "Software environment definition has changed": "packages have changed",
}
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_CODE = "code"
SHOWN = 3
"""Changes, or files, that are named; of more there is the number."""


def short_reason(sentence: str) -> str:
    """The reason that tells most: a setting that changed says more than a file that is missing."""
    parts = [part.strip() for part in re.split(r"; (?=[A-Z])", sentence) if part.strip()]
    words = {beginning: part for beginning in _BEGINNINGS for part in parts if part.startswith(beginning)}
    if VOID in sentence:
        return VOID
    if changes := words.get("Params have changed"):
        return changed_settings(changes)
    if files := words.get("Updated input files"):
        return f"{_BEGINNINGS['Updated input files']}: {_listed(files.partition(': ')[2].split(', '))}"
    # A job below a changed one is missing nothing, and one that is missing is not there for its inputs' sake.
    for beginning, meaning in _BEGINNINGS.items():
        if beginning in words:
            return meaning
    return parts[0] if parts else "asked for"


def changed_settings(part: str) -> str:
    """`training.lr: 0.01 -> 0.02`, from the two sets of settings that only one side has."""
    before, _, now = part.partition(" now: ")
    old, new = (_settings(text) for text in (before, now))
    names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    if names == [_CODE]:
        return "code has changed"
    changes = [
        f"{name}: {old.get(name, 'none')} -> {new.get(name, 'none')}" for name in names if name != _CODE
    ]
    return _listed(changes) if changes else _BEGINNINGS["Params have changed"]


def _settings(text: str) -> dict[str, str]:
    """`name=<json>` strings among what Snakemake quotes."""
    found = (ast.literal_eval(quoted) for quoted in _QUOTED.findall(text))
    pairs = (str(string).partition("=") for string in found)
    return {name: value for name, equals, value in pairs if equals}


def _listed(words: Iterable[str]) -> str:
    words = list(words)
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
