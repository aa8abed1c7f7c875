"""Notes of jobs that have ended, kept until Snakemake has recorded their end.

Between the end of a job and the moment at which Snakemake hears of it lie minutes on a cluster. If Snakemake
or the job is killed then, the job is made again, and its outputs are deleted first. So a job that has a
resume folder leaves it with the outputs in it (as links, which take no space) and this note, and
`fedscape.command.settle` removes both when they are no longer needed.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedscape.files import remove_rests, write_json

_notes: dict = {}  # of this process: `folder` and `outputs`, if it is a job of Snakemake's


@dataclass(frozen=True)
class Ended:
    """A job that has ended."""

    note: Path
    folder: Path  # its resume folder
    outputs: list[str]  # as Snakemake knows them
    temporary: bool  # Snakemake removes the outputs once they are used


def keep_notes(folder: str | Path, outputs: Sequence[str]) -> None:
    """Have this process leave its finished resume folder with a note in `folder`; outputs: the job's."""
    _notes.update(folder=Path(folder), outputs=list(outputs))


def keeps_notes() -> bool:
    """Whether somebody is there to remove a finished resume folder later."""
    return bool(_notes)


def write_note(folder: Path, temporary: bool) -> None:
    """Note that the job has ended, and that its resume folder, of which it has the lock, is still there."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    note = _notes["folder"] / f"{name}.json"
    remove_rests(note)
    write_json(note, {"folder": str(folder), "outputs": _notes["outputs"], "temporary": temporary})


def read_note(path: Path) -> Ended | None:
    """A note, or None if it is gone or none of ours."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        outputs = [str(one) for one in found["outputs"]]
        return Ended(path, Path(found["folder"]), outputs, bool(found["temporary"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
