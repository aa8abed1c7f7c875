"""The committed state of a resume folder, what makes a folder one, and the only code that removes folders."""

import hashlib
import json
import shutil
import sys
import zlib
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fedscape.errors import FedscapeError
from fedscape.files import write_json
from fedscape.jobs.locks import LOCK
from fedscape.regular import is_inside, read_regular

PROGRESS = "progress.json"
_READ_SIZE = 1 << 20  # bytes


@dataclass(frozen=True)
class State:
    """The content of a `progress.json`."""

    fingerprint: str  # of all that the job depends on
    finished: list[str] | None  # files of the folder that are the job's outputs, once all are whole
    progress: dict  # the state that the next process resumes from
    files: dict[str, int | None] = field(default_factory=dict)  # checksums of those that it needs unchanged


def write_state(folder: Path, state: State) -> None:
    """Make `state` the folder's committed one, at once."""
    write_json(folder / PROGRESS, {**asdict(state), "check": _digest(asdict(state))})


def read_state(folder: Path) -> State:
    """The committed state; FileNotFoundError if nothing is committed, ValueError for any other content."""
    try:
        content = json.loads(read_regular(folder / PROGRESS))
        if content.pop("check") != _digest(content):
            raise ValueError("its checksum is another")
        state = State(**content)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a state: {error}") from None
    outputs = state.finished if state.finished is not None else []
    if not (isinstance(state.progress, dict) and isinstance(state.files, dict) and isinstance(outputs, list)):
        raise ValueError("not a state: a value of another type")
    for name in (*outputs, *state.files):
        if not isinstance(name, str) or Path(name).name != name or "\0" in name:
            raise ValueError(f"{name!r} is no file of the folder")
    return state


def state_to_resume(folder: Path, fingerprint: str, valid: Callable[[dict], bool]) -> State | None:
    """The state that a job resumes from; None if it starts afresh, and stderr says why if a state is there.

    fingerprint: the job's. valid: whether the job can continue from what a state says in `progress`.
    """
    try:
        state = read_state(folder)
    except FileNotFoundError:
        return None  # killed before the first commit, or nothing here yet
    except (OSError, ValueError) as error:
        reason = f"{folder / PROGRESS}: unreadable ({error})"
    else:
        reason = _why_not_to_resume(folder, state, fingerprint, valid)
        if reason is None:
            return state
    say(f"{reason}; starting afresh")
    return None


def _why_not_to_resume(
    folder: Path, state: State, fingerprint: str, valid: Callable[[dict], bool]
) -> str | None:
    if state.fingerprint != fingerprint:
        return f"{folder}: settings, code or inputs have changed since"
    for entry in folder.iterdir():
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            return f"{entry}: neither a file nor a folder"
    checksums = {**dict.fromkeys(state.finished or ()), **state.files}
    for name, committed in checksums.items():
        if committed is None or checksum(folder / name) != committed:
            return f"{folder / name}: missing or damaged"
    if state.finished is None and not _continues(state.progress, valid):
        return f"{folder / PROGRESS}: no state of this job"
    return None


def _continues(progress: dict, valid: Callable[[dict], bool]) -> bool:
    try:
        return valid(progress)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return False


def checksum(path: Path) -> int | None:
    """CRC-32 of a file, None if it is not there."""
    if not path.is_file():
        return None
    value = 0
    with path.open("rb") as file:
        while block := file.read(_READ_SIZE):
            value = zlib.crc32(block, value)
    return value


def is_resume_folder(folder: Path) -> bool:
    """Whether a folder is a resume folder by what it holds: a lock and a state, or nothing but a lock."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if {entry.name for entry in folder.iterdir()} <= {LOCK}:
        return True
    try:
        read_state(folder)
    except (OSError, ValueError):
        return False
    return (folder / LOCK).is_file() and not (folder / LOCK).is_symlink()


def remove(folder: Path, inside: Path) -> None:
    """Remove a resume folder that lies strictly inside another folder; nothing else removes a folder.

    By one rename, so that no part of it is taken for the whole. Raises FedscapeError for any other folder;
    one that is not there has been removed already.
    """
    is_there = folder.exists() or folder.is_symlink()
    if not is_inside(folder, inside) or (is_there and not is_resume_folder(folder)):
        raise FedscapeError(f"{folder}: not a resume folder inside {inside}; it stays as it is")
    if is_there:
        with suppress(FileNotFoundError):
            folder.rename(_waste(folder))
    remove_waste(folder)


def remove_waste(folder: Path) -> None:
    """Remove what a process killed in `remove` has left of `folder`; another process may be doing so, too."""
    waste = _waste(folder)
    with suppress(FileNotFoundError, OSError):
        if is_resume_folder(waste):
            clear(waste, kept={LOCK, PROGRESS})
            # What makes it a resume folder goes last, so that what is left of it still is one.
            for name in (PROGRESS, LOCK):
                (waste / name).unlink(missing_ok=True)
            waste.rmdir()


def clear(folder: Path, kept: Set[str]) -> None:
    """Remove all that lies in a resume folder but the files named."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name not in kept:
            entry.unlink()


def _waste(folder: Path) -> Path:
    """The name of a folder while it is removed."""
    return folder.with_name(f".{folder.name}.removed")


def say(message: str) -> None:
    """Print a line for the user to stderr, at once."""
    print(message, file=sys.stderr, flush=True)


def _digest(state: Mapping) -> str:
    """Digest of a state as it reads back from JSON."""
    plain = json.loads(json.dumps(state))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
