"""Resume folders: what a long job keeps beside its outputs, so that a kill at any moment loses nothing.

A job writes its growing files into the folder and commits each step by replacing `progress.json`; what is not
committed does not count. Snakemake deletes the declared outputs of a failed job, so the folder is no declared
output: it goes away when the outputs are in place, or, in a job, when Snakemake has heard of it.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from fedscape.ended import keeps_notes, write_note
from fedscape.errors import FedscapeError
from fedscape.files import atomic, write_json

PROGRESS = "progress.json"
LOCK = "lock"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # what SLURM sends ahead of a time limit or a pre-emption
END_TIME_VARIABLE = (
    "SLURM_JOB_END_TIME"  # seconds since the epoch; SLURM 22.05 has none, the signal alone counts there
)
EXIT_SECONDS = 30  # what the end of a job needs beyond its last commit (Python, CUDA, slow disks)
GAP_FACTOR = 1.5  # a step may take longer than the longest one so far
NO_HARD_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}
READ_SIZE = 1 << 20  # bytes
LOCK_TRIES, LOCK_PAUSE = 5, 0.05  # seconds between tries for the lock, before another process is believed in
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}


class ResumeFolder:
    """Context manager over one job's resume folder.

    path: the folder; made if it is not there.
    fingerprint: digest of all that the job depends on (settings, code, contents of its input files); a folder
        with another one is emptied.

    Inside the block `folder` is the folder's path and `progress` the last committed state, `{}` if fresh.
    A second process in the same folder gets a FedscapeError.
    """

    def __init__(self, path: str | Path, fingerprint: str):
        self.folder = Path(path)
        self.fingerprint = fingerprint
        self.progress: dict = {}
        self.signalled: str | None = None  # name of the stop signal that has arrived
        self._finished: list[str] | None = None
        self._files: dict[str, int] = {}  # checksums of those that the committed state needs as they are
        self._handlers: dict[signal.Signals, object] = {}
        self._longest_gap = 0.0

    def __enter__(self) -> "ResumeFolder":
        self._lock = _locked(self.folder)
        self._remove_waste()
        try:
            self._read_progress()
        except BaseException:
            os.close(self._lock)
            raise
        # Python allows handlers in the main thread only; a notebook may train in another one.
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._catch) for number in STOP_SIGNALS}
        self._last_commit = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self._lock)

    @property
    def finished(self) -> bool:
        """Whether an earlier process got as far as `finish`: nothing is left but to call it again."""
        return self._finished is not None

    def commit(self, progress: dict, files: Iterable[str] = (), adding: bool = False) -> None:
        """Make `progress` (JSON values) the state that a next process starts from; flush its files before.

        files: names of those in the folder that the state needs just as they are now; with `adding`, beside
        those of earlier commits. Where one of them is damaged, the next process starts afresh.
        """
        self.progress = progress
        self._files = {**(self._files if adding else {}), **{name: self._checksum(name) for name in files}}
        self._write_progress()
        now = time.monotonic()
        self._longest_gap = max(self._longest_gap, now - self._last_commit)
        self._last_commit = now

    def stop_requested(self) -> str | None:
        """Why the job should stop now, at a committed state, or None.

        A stop signal has arrived, or the time to SLURM's limit may not hold another step as long as the
        longest so far.
        """
        if self.signalled:
            return self.signalled
        end = os.environ.get(END_TIME_VARIABLE, "")
        if end.isdigit() and int(end) - time.time() < EXIT_SECONDS + GAP_FACTOR * self._longest_gap:
            return "the time limit"
        return None

    def stop(self, reason: str, done: str) -> None:
        """End the process with exit code 1 and a line that says how to go on; `done` is what is committed."""
        message = f"stopped by {reason}: run again to continue from {done}"
        if sys.stderr is not sys.__stderr__:  # a job's log; Python itself tells the terminal
            _say(message)
        raise SystemExit(message)

    def finish(self, outputs: Mapping[str, str | Path], temporary: bool = False) -> None:
        """Put whole files of the folder (name -> output path) in place and remove the folder.

        First the state says "finished": a process killed after that is followed by one that only calls
        `finish` again. Each output appears at once (a hard link, or a copy that is renamed). The folder goes
        last, by one rename, so there is no moment at which neither it nor the outputs are whole. A job of
        Snakemake's leaves it with the outputs alone, as links, until it is on record (`fedscape.ended`).
        temporary: Snakemake removes the outputs once they are used.
        """
        for name in outputs:
            with (self.folder / name).open("rb") as file:
                os.fsync(file.fileno())
        self._finished, self._files = list(outputs), {}  # what the steps needed may go
        self._write_progress()
        linked = [_put(self.folder / name, Path(path)) for name, path in outputs.items()]
        self._remove_waste()
        if keeps_notes() and all(linked):
            _clear(self.folder, {PROGRESS, LOCK, *outputs})
            write_note(self.folder, temporary)
        else:
            remove(self.folder)

    def _remove_waste(self) -> None:
        # A process killed while it removed its folder leaves a rest, which the next one may be removing too.
        shutil.rmtree(_waste(self.folder), ignore_errors=True)

    def _catch(self, number: int, frame: object) -> None:
        self.signalled = signal.Signals(number).name

    def _write_progress(self) -> None:
        state = {
            "fingerprint": self.fingerprint,
            "finished": self._finished,
            "progress": self.progress,
            "files": self._files,
        }
        write_json(self.folder / PROGRESS, {**state, "check": _digest(state)})

    def _read_progress(self) -> None:
        """Take over the committed state; empty the folder if it is unreadable or another job's."""
        try:
            state = json.loads((self.folder / PROGRESS).read_text(encoding="utf-8"))
            if state.pop("check") != _digest(state):
                raise ValueError("its checksum is another")
            fingerprint, finished, progress = state["fingerprint"], state["finished"], state["progress"]
        except FileNotFoundError:
            return self._empty()  # killed before the first commit, or nothing here yet
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            _say(f"{self.folder / PROGRESS}: unreadable ({error}); starting afresh")
            return self._empty()
        if fingerprint != self.fingerprint:
            _say(f"{self.folder}: settings, code or inputs have changed since; starting afresh")
            return self._empty()
        missing = [name for name in finished or () if not (self.folder / name).is_file()]
        if missing:
            _say(f"{self.folder}: {missing[0]} is missing; starting afresh")
            return self._empty()
        damaged = [name for name, check in state["files"].items() if self._checksum(name) != check]
        if damaged:
            _say(f"{self.folder / damaged[0]}: missing or damaged; starting afresh")
            return self._empty()
        self._finished, self.progress, self._files = finished, progress, state["files"]
        if finished is not None:
            _say(f"{self.folder}: finished before; its outputs are put in place again")
        return None

    def _checksum(self, name: str) -> int | None:
        """Of a file in the folder, None if it is not there."""
        checksum = 0
        try:
            with (self.folder / name).open("rb") as file:
                while block := file.read(READ_SIZE):
                    checksum = zlib.crc32(block, checksum)
        except FileNotFoundError:
            return None
        return checksum

    def restart(self, reason: str) -> None:
        """Forget what was committed and empty the folder: one of its files is not what it should be."""
        _say(f"{self.folder}: {reason}; starting afresh")
        self._finished, self.progress, self._files = None, {}, {}
        self._empty()

    def _empty(self) -> None:
        # The state first: without it the other files mean nothing, in whatever order they go.
        (self.folder / PROGRESS).unlink(missing_ok=True)
        _clear(self.folder, {LOCK})


def remove(folder: Path) -> None:
    """Remove a resume folder: by one rename, so that nobody goes on from a part of it."""
    with suppress(FileNotFoundError):
        folder.rename(_waste(folder))
    shutil.rmtree(_waste(folder), ignore_errors=True)


def _waste(folder: Path) -> Path:
    """What a folder is called while it is removed."""
    return folder.with_name(f".{folder.name}.removed")


def _clear(folder: Path, kept: Set[str]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name not in kept:
            entry.unlink()


def _digest(state: Mapping) -> str:
    """Of what `progress.json` says, as it is after a way through JSON."""
    plain = json.loads(json.dumps(state))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _locked(folder: Path) -> int:
    """Descriptor of the folder's lock file, locked; it unlocks when closed, also by the process's death."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / LOCK).exists() and any(folder.iterdir()):
            # It would be emptied: never do that to a folder that somebody else has filled.
            raise FedscapeError(f"{folder}: not a resume folder; name one that is new or empty")
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            continue  # another process has just finished and removed the folder
        try:
            _flock(lock)
        except OSError as error:
            if error.errno in NO_LOCKS:
                _say(f"{folder}: this file system has no locks; take care that only one process works here")
                return lock
            os.close(lock)
            if isinstance(error, BlockingIOError):
                raise FedscapeError(
                    f"{folder}: another process is working here; wait for it to end"
                ) from None
            raise
        # The file locked may be one that its owner has removed since it was opened: then it locks nothing.
        try:
            if os.path.samestat(os.fstat(lock), (folder / LOCK).stat()):
                _sign(lock)
                return lock
        except FileNotFoundError:
            pass
        os.close(lock)


def _flock(lock: int) -> None:
    """Lock a file, or raise BlockingIOError; somebody who only looks (`is_held`) is waited for."""
    for _ in range(LOCK_TRIES):
        with suppress(BlockingIOError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(LOCK_PAUSE)
    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(lock: int) -> None:
    """Say in the lock file who has it; a disk that is full keeps the line of the one before, or none."""
    with suppress(OSError):
        line = f"{socket.gethostname()} {os.getpid()}\n".encode()
        os.pwrite(lock, line, 0)
        os.ftruncate(lock, len(line))


def is_held(file: str | Path) -> bool | None:
    """Whether a process holds the lock on a file; None where this cannot be told.

    It is asked for by trying to share the lock, and given back at once: who wants it at that moment tries
    again (`_locked`).
    """
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _put(source: Path, target: Path) -> bool:
    """Make `target` the file `source`, at once and with the present time (it may have waited for long).

    Whether it is a link.
    """
    os.utime(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Always the same name, so that a killed process's link is found and does not keep its blocks for ever.
    temporary = target.with_name(f".{target.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        with atomic(target) as copy:
            shutil.copyfile(source, copy)
        return False
    temporary.replace(target)
    # Renaming one link of a file onto another of the same file leaves both.
    temporary.unlink(missing_ok=True)
    return True


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
