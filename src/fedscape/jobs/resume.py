"""Resume folders: what a long job keeps beside its outputs, so that a kill at any moment loses nothing.

A job writes its growing files into the folder and commits each step by replacing `progress.json`; what is not
committed does not count. Snakemake deletes the declared outputs of a failed job, so the folder is no declared
output: it goes away when the outputs are in place, or, in a job, when Snakemake has heard of it.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

from fedscape.jobs.links import put_in_place
from fedscape.jobs.locks import LOCK, lock_folder
from fedscape.jobs.resume_state import (
    PROGRESS,
    State,
    checksum,
    clear,
    remove,
    remove_waste,
    say,
    state_to_resume,
    write_state,
)
from fedscape.jobs.stops import Stops
from fedscape.jobs.unrecorded import keeps_notes, write_note

Task = TypeVar("Task")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resume:
    """The folder that a job resumes from, and the job's fingerprint: a folder of another one is emptied.

    fingerprint: digest of all that the job depends on (settings, code, contents of its input files).
    """

    folder: str | Path
    fingerprint: str


class ResumeFolder:
    """Context manager over one job's resume folder.

    resume: the folder, created if it is missing, and the job's fingerprint.
    valid: whether the job can continue from a committed state; the folder is emptied where it cannot.

    Inside the block `folder` is the folder's path and `progress` the last committed state, `{}` if fresh.
    A second process in the same folder gets a FedscapeError.
    """

    def __init__(self, resume: Resume, valid: Callable[[dict], bool] = lambda _: True):
        self.folder = Path(resume.folder)
        self.fingerprint, self.valid = resume.fingerprint, valid
        self.progress: dict = {}
        self._finished: list[str] | None = None
        self._files: dict[str, int | None] = {}  # checksums of those that the state needs as they are
        self._stops = Stops()

    def __enter__(self) -> "ResumeFolder":
        self._lock = lock_folder(self.folder)
        remove_waste(self.folder)
        try:
            self._read_progress()
        except BaseException:
            os.close(self._lock)
            raise
        self._stops.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stops.__exit__(kind, error, trace)
        os.close(self._lock)

    @property
    def finished(self) -> bool:
        """Whether an earlier process got as far as `finish`: nothing is left but to call it again."""
        return self._finished is not None

    @property
    def signalled(self) -> str | None:
        """The name of the stop signal that has arrived, or None."""
        return self._stops.signalled

    def commit(self, progress: dict, files: Iterable[str] = (), adding: bool = False) -> None:
        """Make `progress` (JSON values) the state that the next process resumes from; flush its files before.

        files: names of those in the folder that the state needs just as they are now; with `adding`, beside
        those of earlier commits. Where one of them is damaged, the next process starts afresh.
        """
        self.progress = progress
        checksums = {name: checksum(self.folder / name) for name in files}
        self._files = {**(self._files if adding else {}), **checksums}
        self._write_progress()
        self._stops.step_done()

    def steps(self, tasks: Sequence[Task], words: str) -> Iterator[tuple[int, Task]]:
        """The tasks that are not done, each with its number; one is done when the loop asks for the next.

        What a step leaves in files `<number>-*` of the folder and changes in `progress` is committed with it.
        Between two steps the job ends if it is told to. words: the log's line for done tasks of all tasks
        (`path {} of {}`). The folder is valid by `counts_to(len(tasks))`.
        """
        if self.finished:
            return
        done = self.progress.get("done", 0)
        if done:
            log.info("continuing after %s", words.format(done, len(tasks)))
        for number in tqdm(range(done, len(tasks)), initial=done, total=len(tasks), disable=None):
            if reason := self.stop_requested():
                self.stop(reason, words.format(number, len(tasks)))
            yield number, tasks[number]
            files = [path.name for path in self.folder.glob(f"{number}-*")]
            self.commit({**self.progress, "done": number + 1}, files, adding=True)
            log.info(words.format(number + 1, len(tasks)))

    def stop_requested(self) -> str | None:
        """Why the job should stop now, at a committed state, or None.

        A stop signal has arrived, or the time to SLURM's limit may not hold another step as long as the
        longest so far.
        """
        return self._stops.requested()

    def stop(self, reason: str, done: str) -> None:
        """End the process with exit code 1 and a line that says how to resume; `done`: what is committed."""
        message = f"stopped by {reason}: run again to continue from {done}"
        if sys.stderr is not sys.__stderr__:  # a job's log; Python itself tells the terminal
            say(message)
        raise SystemExit(message)

    def finish(self, outputs: Mapping[str, str | Path], temporary: bool = False) -> None:
        """Put whole files of the folder (name -> output path) in place and remove the folder.

        First the state says "finished": after a kill the next process only calls
        `finish` again. Each output appears at once (a hard link, or a copy that is renamed). The folder goes
        last, by one rename, so there is no moment at which neither it nor the outputs are whole. A job of
        Snakemake's leaves it with the outputs alone, as links, until it is on record (`jobs.unrecorded`).
        temporary: Snakemake removes the outputs once they are used.
        """
        for name in outputs:
            with (self.folder / name).open("rb") as file:
                os.fsync(file.fileno())
        # What the steps needed may go; the outputs must be what they are now, if they are put in place later.
        self._finished = list(outputs)
        self._files = {name: checksum(self.folder / name) for name in outputs}
        self._write_progress()
        linked = [put_in_place(self.folder / name, Path(path)) for name, path in outputs.items()]
        if keeps_notes() and all(linked):
            clear(self.folder, {PROGRESS, LOCK, *outputs})
            write_note(self.folder, temporary)
        else:
            remove(self.folder, inside=self.folder.parent)

    def restart(self, reason: str) -> None:
        """Forget what was committed and empty the folder, one of whose files is damaged."""
        say(f"{self.folder}: {reason}; starting afresh")
        self._finished, self.progress, self._files = None, {}, {}
        self._empty()

    def _write_progress(self) -> None:
        write_state(self.folder, State(self.fingerprint, self._finished, self.progress, self._files))

    def _read_progress(self) -> None:
        """Take over the committed state; empty the folder if it is unreadable or another job's."""
        state = state_to_resume(self.folder, self.fingerprint, self.valid)
        if state is None:
            return self._empty()
        self._finished, self.progress, self._files = state.finished, state.progress, state.files
        if self.finished:
            say(f"{self.folder}: finished before; its outputs are put in place again")
        return None

    def _empty(self) -> None:
        # The state first: without it the other files mean nothing, in whatever order they go.
        if (self.folder / PROGRESS).is_file():
            (self.folder / PROGRESS).unlink()
        clear(self.folder, {LOCK})


def counts_to(last: int, key: str = "done") -> Callable[[dict], bool]:
    """For `valid`: whether a state says in `key` how many of at most `last` steps are done."""
    return lambda progress: type(progress[key]) is int and 0 <= progress[key] <= last
