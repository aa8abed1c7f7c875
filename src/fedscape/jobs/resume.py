"""Resume folders: what a long job keeps beside its outputs, so that a kill at any moment loses nothing.

A job writes its growing files into the folder and commits each step by replacing `progress.json`; what is not
committed does not count. Snakemake deletes the declared outputs of a failed job, so the folder is no declared
output: it goes away when the outputs are in place, or, in a job, when Snakemake has heard of it.
"""

import logging
import os
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

from fedscape.jobs.links import put_in_place
from fedscape.jobs.locks import LOCK, lock_folder
from fedscape.jobs.resume_state import PROGRESS, State, clear, read_state, remove, remove_waste, write_state
from fedscape.jobs.unrecorded import keeps_notes, write_note

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # what SLURM sends ahead of a time limit or a pre-emption
END_TIME_VARIABLE = (
    "SLURM_JOB_END_TIME"  # seconds since the epoch; SLURM 22.05 has none, the signal alone counts there
)
EXIT_SECONDS = 30  # what the end of a job needs beyond its last commit (Python, CUDA, slow disks)
GAP_FACTOR = 1.5  # a step may take longer than the longest one so far
READ_SIZE = 1 << 20  # bytes

Task = TypeVar("Task")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resume:
    """Where a job resumes, and what it must be: a folder of another fingerprint is emptied.

    fingerprint: digest of all that the job depends on (settings, code, contents of its input files).
    """

    folder: str | Path
    fingerprint: str


class ResumeFolder:
    """Context manager over one job's resume folder.

    resume: the folder, made if it is not there, and the job's fingerprint.
    valid: whether the job can continue from a committed state; the folder is emptied where it cannot.

    Inside the block `folder` is the folder's path and `progress` the last committed state, `{}` if fresh.
    A second process in the same folder gets a FedscapeError.
    """

    def __init__(self, resume: Resume, valid: Callable[[dict], bool] = lambda _: True):
        self.folder = Path(resume.folder)
        self.fingerprint, self.valid = resume.fingerprint, valid
        self.progress: dict = {}
        self.signalled: str | None = None  # name of the stop signal that has arrived
        self._finished: list[str] | None = None
        self._files: dict[str, int] = {}  # checksums of those that the committed state needs as they are
        self._handlers: dict[signal.Signals, object] = {}
        self._longest_gap = 0.0

    def __enter__(self) -> "ResumeFolder":
        self._lock = lock_folder(self.folder)
        remove_waste(self.folder)
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

    def steps(self, tasks: Sequence[Task], what: str) -> Iterator[tuple[int, Task]]:
        """The tasks that are not done, each with its number; it is done when the loop asks for the next.

        What a step leaves in files `<number>-*` of the folder is committed with it. Between two steps the job
        ends where it is told to. what: the tasks in a word, for the log. A state says in `done` how many are
        done (`counts_to`).
        """
        done = self.progress.get("done", 0)
        if done:
            log.info("continuing after %d of %d %s", done, len(tasks), what)
        for number in tqdm(range(done, len(tasks)), initial=done, total=len(tasks), disable=None):
            if reason := self.stop_requested():
                self.stop(reason, f"{number} of {len(tasks)} {what}")
            yield number, tasks[number]
            parts = [path.name for path in self.folder.glob(f"{number}-*")]
            self.commit({**self.progress, "done": number + 1}, parts, adding=True)

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
        Snakemake's leaves it with the outputs alone, as links, until it is on record (`jobs.unrecorded`).
        temporary: Snakemake removes the outputs once they are used.
        """
        for name in outputs:
            with (self.folder / name).open("rb") as file:
                os.fsync(file.fileno())
        # What the steps needed may go; the outputs must be what they are now, if they are put in place later.
        self._finished, self._files = list(outputs), {name: self._checksum(name) for name in outputs}
        self._write_progress()
        linked = [put_in_place(self.folder / name, Path(path)) for name, path in outputs.items()]
        if keeps_notes() and all(linked):
            clear(self.folder, {PROGRESS, LOCK, *outputs})
            write_note(self.folder, temporary)
        else:
            remove(self.folder, inside=self.folder.parent)

    def _catch(self, number: int, frame: object) -> None:
        self.signalled = signal.Signals(number).name

    def _write_progress(self) -> None:
        write_state(self.folder, State(self.fingerprint, self._finished, self.progress, self._files))

    def _read_progress(self) -> None:
        """Take over the committed state; empty the folder if it is unreadable or another job's."""
        try:
            state = read_state(self.folder)
        except FileNotFoundError:
            return self._empty()  # killed before the first commit, or nothing here yet
        except (OSError, ValueError) as error:
            _say(f"{self.folder / PROGRESS}: unreadable ({error}); starting afresh")
            return self._empty()
        if state.fingerprint != self.fingerprint:
            _say(f"{self.folder}: settings, code or inputs have changed since; starting afresh")
            return self._empty()
        if strange := [one for one in self.folder.iterdir() if one.is_symlink() or not _is_ordinary(one)]:
            _say(f"{strange[0]}: neither a file nor a folder; starting afresh")
            return self._empty()
        files = {**dict.fromkeys(state.finished or ()), **state.files}
        damaged = [name for name, check in files.items() if check is None or self._checksum(name) != check]
        if damaged:
            _say(f"{self.folder / damaged[0]}: missing or damaged; starting afresh")
            return self._empty()
        if state.finished is None and not self._continues(state.progress):
            _say(f"{self.folder / PROGRESS}: no state of this job; starting afresh")
            return self._empty()
        self._finished, self.progress, self._files = state.finished, state.progress, state.files
        if state.finished is not None:
            _say(f"{self.folder}: finished before; its outputs are put in place again")
        return None

    def _continues(self, progress: dict) -> bool:
        try:
            return self.valid(progress)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            return False

    def _checksum(self, name: str) -> int | None:
        """Of a file in the folder, None if it is not there."""
        if not (self.folder / name).is_file():
            return None
        checksum = 0
        with (self.folder / name).open("rb") as file:
            while block := file.read(READ_SIZE):
                checksum = zlib.crc32(block, checksum)
        return checksum

    def restart(self, reason: str) -> None:
        """Forget what was committed and empty the folder: one of its files is not what it should be."""
        _say(f"{self.folder}: {reason}; starting afresh")
        self._finished, self.progress, self._files = None, {}, {}
        self._empty()

    def _empty(self) -> None:
        # The state first: without it the other files mean nothing, in whatever order they go.
        if (self.folder / PROGRESS).is_file():
            (self.folder / PROGRESS).unlink()
        clear(self.folder, {LOCK})


def _is_ordinary(path: Path) -> bool:
    return path.is_file() or path.is_dir()


def counts_to(last: int, key: str = "done") -> Callable[[dict], bool]:
    """For `valid`: whether a state says in `key` how many of at most `last` steps are done."""
    return lambda progress: type(progress[key]) is int and 0 <= progress[key] <= last


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
