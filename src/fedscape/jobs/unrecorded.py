"""Notes of jobs that have ended, kept until Snakemake has recorded their end.

Between the end of a job and the moment at which Snakemake hears of it lie minutes on a cluster. If Snakemake
or the job is killed then, the job runs again, and its outputs are deleted first. So a job that has a
resume folder leaves it with the outputs in it (as links, which take no space) and this note, and
`fedscape.command.finished_folders` removes both when they are no longer needed.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedscape.errors import FedscapeError, reason
from fedscape.files import remove_leftovers, write_json
from fedscape.regular import read_regular

NOTES = "unrecorded"  # folder of the notes, in that of the study and scale
LONGEST_NOTE = 1 << 20  # bytes

_notes: dict = {}  # `folder` and `outputs` of this process, if it is a job of Snakemake's


@dataclass(frozen=True)
class Ended:
    """A job that has ended."""

    note: Path
    folder: Path  # its resume folder
    outputs: list[str]  # as Snakemake knows them
    temporary: bool  # Snakemake removes the outputs once they are used


def keep_notes(results: str | Path, outputs: Sequence[str]) -> None:
    """Have this process leave its finished resume folder with a note.

    results: the folder of the job's study and scale; outputs: the job's.
    """
    _notes.update(folder=Path(results, NOTES), outputs=list(outputs))


def keeps_notes() -> bool:
    """Whether this process is a job of Snakemake's, whose finished resume folder is removed later."""
    return bool(_notes)


def write_note(folder: Path, temporary: bool) -> None:
    """Note that the job has ended, and that its resume folder, of which it has the lock, is still there."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    note = _notes["folder"] / f"{name}.json"
    remove_leftovers(note)
    write_json(note, {"folder": str(folder), "outputs": _notes["outputs"], "temporary": temporary})


def read_note(path: Path) -> Ended | None:
    """A note, None if it is gone; FedscapeError for any other content."""
    try:
        content = json.loads(read_regular(path, LONGEST_NOTE))
        note = Ended(path, Path(content["folder"]), content["outputs"], content["temporary"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FedscapeError(f"{path}: no note of a job that ended ({reason(error)}); delete it") from None
    # A note names only what is in the results that it belongs to. `remove` also follows links.
    results = path.parents[1]
    paths = [content["folder"], *note.outputs] if isinstance(note.outputs, list) and note.outputs else [None]
    if not all(isinstance(named, str) and _is_below(named, results) for named in paths):
        raise FedscapeError(f"{path}: it names something outside {results}, or nothing; delete it")
    return note


def _is_below(path: str, folder: Path) -> bool:
    parts = Path(path).parts
    is_name = "\0" not in path and path.isascii()  # as all names of results are
    return is_name and parts[: len(folder.parts)] == folder.parts and ".." not in parts
