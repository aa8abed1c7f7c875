"""Snakemake's records of the jobs that made files: `.snakemake/metadata` (record format 6).

One JSON file per output, whose name is the output's path in URL-safe base64, cut into folders where it is
longer than a file's name may be. Snakemake's own reader takes a second to import.

Snakemake writes a record when it hears that a job has ended, and takes an output without a record for up
to date, whatever changes. On a cluster jobs may end when the Snakemake that sent them has ended. So each job
begins with records that match no settings (`void_records`): Snakemake replaces them, or runs the job again.
"""

import ast
import os
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedscape.errors import FedscapeError
from fedscape.files import write_json
from fedscape.regular import json_object

FOLDER = Path(".snakemake", "metadata")
STARTED = Path(".snakemake", "incomplete")  # likewise a file per output, from the start of its job to the end
LONGEST = 254  # characters of a file's name, one less than Linux and macOS allow
FORMAT = 6  # since 9.0; older records hold other params
VOID = "(no Snakemake was there when this job ended)"  # in place of params; Snakemake shows it as its reason


@dataclass(frozen=True)
class Record:
    """The job that made a file."""

    rule: str
    spelled: tuple[str, ...]  # its params, each as Python spells it
    inputs: tuple[str, ...]
    checksums: dict[str, str]  # input -> `sha256:...`, of inputs that are not too large

    @property
    def is_void(self) -> bool:
        """Whether Snakemake has not heard that the job ended, or the job is still running."""
        return self.spelled == (VOID,)

    @property
    def params(self) -> list[str]:
        """All strings of all lists among its params: `name=<json>`."""
        return [text for param in self.spelled for text in _strings(param)]


def record_of(path: str) -> Record | None:
    """The record of an output, by its path as Snakemake has it; None if there is no readable one."""
    content = json_object(record_path(FOLDER, path))
    version, rule = content.get("record_format_version"), content.get("rule")
    spelled, inputs = _texts(content.get("params")), _texts(content.get("input") or [])
    checksums = content.get("input_checksums") or {}
    if not (isinstance(version, int) and version >= FORMAT and isinstance(rule, str)):
        return None
    if spelled is None or inputs is None:
        return None
    if not isinstance(checksums, dict) or _texts([*checksums.values()]) is None:
        return None
    return Record(rule, spelled, inputs, checksums)


def void_records(rule: str, outputs: Sequence[str]) -> None:
    """Replace the records of a job that begins, unless Snakemake keeps them elsewhere, in a database."""
    for output in outputs if FOLDER.is_dir() else ():
        record = {"rule": rule, "params": [VOID], "input": [], "endtime": None, "input_checksums": {}}
        write_json(record_path(FOLDER, output), {**record, "record_format_version": FORMAT})


def check_records() -> None:
    """Refuse to answer where Snakemake has no records, keeps them in a database, or unreadable."""
    try:
        first = next(FOLDER.iterdir(), None)
    except PermissionError:
        first = FOLDER
    except OSError:
        first = None
    if first is None:
        raise FedscapeError(f"{FOLDER}: no records of Snakemake's here, so nobody knows what made a file")
    if first.exists() and not os.access(first, os.R_OK):
        raise FedscapeError(f"{FOLDER}: Snakemake's records cannot be read; ask somebody who may read them")


def _texts(values: object) -> tuple[str, ...] | None:
    """A list of strings; None for anything else."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return tuple(values)


def _strings(param: str) -> list[str]:
    """The strings of a param that is a list; none of any other, which holds no settings."""
    try:
        value = ast.literal_eval(param)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return []
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def record_path(folder: Path, path: str) -> Path:
    """The path in `folder` of Snakemake's record of an output."""
    name = urlsafe_b64encode(path.encode()).decode()
    *folders, last = [name[i : i + LONGEST] for i in range(0, len(name), LONGEST)]
    return folder.joinpath(*(f"@{part}" for part in folders), last)
