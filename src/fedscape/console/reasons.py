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
# A quoted setting; an apostrophe within the name of a file begins none.
_QUOTED = re.compile(r"(?<![^ ,])(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
_CODE = "code"
SHOWN = 3
"""Changes, or files, that are named; of more there is the number."""
LONGEST, BEFORE = 60, 20
"""Letters of a value that are shown, and how many of them come before the first that has changed."""


def short_reason(sentence: str) -> str:
    """The reason that tells most: a setting that changed says more than a file that is missing."""
    parts = [part.strip() for part in _split(sentence, r"; (?=[A-Z])") if part.strip()]
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
    before, *now = _split(part, " now: ")
    old, new = (_settings(text) for text in (before, "".join(now)))
    names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    if names == [_CODE]:
        return "code has changed"
    changes = [
        f"{name}: {_change(old.get(name, 'none'), new.get(name, 'none'))}" for name in names if name != _CODE
    ]
    return _listed(changes) if changes else _BEGINNINGS["Params have changed"]


def _settings(text: str) -> dict[str, str]:
    """`name=<json>` strings among what Snakemake quotes."""
    strings = (ast.literal_eval(quoted) for quoted in _QUOTED.findall(text))
    pairs = (str(string).partition("=") for string in strings)
    return {name: value for name, equals, value in pairs if equals}


def _split(text: str, separator: str) -> list[str]:
    """The text between separators (a pattern) that stand in no quoted setting."""
    masked = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), text)
    separators = list(re.finditer(separator, masked))
    begins = [0, *(match.end() for match in separators)]
    ends = [*(match.start() for match in separators), len(text)]
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _change(old: str, new: str) -> str:
    """Both values; of long ones, the part in which they differ."""
    pairs = enumerate(zip(old, new, strict=False))
    first = next((index for index, letters in pairs if letters[0] != letters[1]), min(len(old), len(new)))
    begin = max(0, first - BEFORE) if max(len(old), len(new)) > LONGEST else 0
    return " -> ".join(_excerpt(value, begin) for value in (old, new))


def _excerpt(value: str, begin: int) -> str:
    end = begin + LONGEST
    return f"{'…' if begin else ''}{value[begin:end]}{'…' if len(value) > end else ''}"


def _listed(words: Iterable[str]) -> str:
    words = list(words)
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
