"""How far a job is, from the files that it leaves: outputs, resume folder, log. Jobs are not asked."""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedscape.command import slurm
from fedscape.command.lenient_readers import count, last_lines, last_rows, numbers
from fedscape.jobs.locks import LOCK, is_held
from fedscape.jobs.recorded import STARTED, record_path
from fedscape.jobs.resume_state import PROGRESS
from fedscape.regular import is_regular, json_object, read_regular
from fedscape.study.jobs import Job
from fedscape.study.stages.every import STAGES
from fedscape.study.stages.training import PRETRAIN, TRAIN
from fedscape.study.study import Study

DONE, RUNNING, QUEUED, WAITING, STOPPED, FAILED = "done", "running", "queued", "waiting", "stopped", "failed"
STATES = (DONE, RUNNING, QUEUED, WAITING, STOPPED, FAILED)
RECENT_ROUNDS = 10  # of which the time left is told
STARTING = 60  # seconds from Snakemake's mark to a job's own log: Python and torch start
QUIET = 900  # seconds without a commit after which a job on another machine counts as stopped
ENDED, STOP = "ended after", "stopped by"  # how last lines of logs begin: `jobs.job`, `jobs.resume`
TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True)
class Progress:
    """The state of a job, and how it is described."""

    state: str
    words: str = ""


class PresentFiles:
    """The files that exist; each folder is listed once."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def __contains__(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return name in self._in(folder)

    def is_empty(self, folder: str) -> bool:
        """Whether nothing lies in a folder, or it is none."""
        return not self._in(folder)

    def _in(self, folder: str) -> set[str]:
        if folder not in self._names:
            try:
                self._names[folder] = set(os.listdir(folder))  # noqa: PTH208 (a third of pathlib's time)
            except OSError:
                self._names[folder] = set()
        return self._names[folder]


def progress_of(
    study: Study, jobs: Sequence[Job], queue: Mapping[str, slurm.Queued] | None = None
) -> list[Progress]:
    """The progress of each job. Paths are relative to the current folder, the repository's root.

    queue: as `slurm.queue` gives it. Up to date or not: a job whose outputs are there is done, unless it has
    been sent to rebuild them.
    """
    files = PresentFiles()
    some_started = not files.is_empty(str(STARTED))
    states = [_progress(study, job, files, queue, some_started) for job in jobs]
    pairs = list(zip(jobs, states, strict=True))
    done = {path for job, progress in pairs if progress.state == DONE for path in job.outputs}
    # What a job wrote for others that are done may have been removed since.
    needed = {path for job in jobs if job.outputs[0] not in done for path in job.inputs}
    return [
        Progress(DONE) if job.temporary and not needed.intersection(job.outputs) else progress
        for job, progress in pairs
    ]


def _progress(
    study: Study, job: Job, files: PresentFiles, queue: Mapping[str, slurm.Queued] | None, some_started: bool
) -> Progress:
    queued = (queue or {}).get(slurm.comment(job))
    is_sent = queued and queued.state != slurm.COMPLETING
    if not is_sent and all(path in files for path in job.outputs):
        return Progress(DONE)
    node = f"on {queued.node}" if queued and queued.running and queued.node else ""
    resume = Path(job.resume) if job.resume and job.resume in files else None
    if resume and is_held(resume / LOCK):
        return Progress(RUNNING, _joined(_course(study, job, resume), node))
    if job.log in files and is_held(job.log):
        return Progress(RUNNING, _joined(_course(study, job, resume), _ago(job.log), node))
    if queued and queued.running:
        return Progress(RUNNING, _joined(_course(study, job, resume), queued.words, node))
    if queued:
        return Progress(QUEUED, _joined(queued.words, _course(study, job, resume)))
    began = _time(record_path(STARTED, job.outputs[0])) if some_started else 0.0
    # Once there is a log, nobody holds it: killed with its Snakemake, which left its mark behind.
    if time.time() - began < STARTING and _time(job.log) < began:
        return Progress(RUNNING, "has just begun")
    lines = last_lines(job.log) if job.log in files else []
    if _is_error(lines):
        return Progress(FAILED, f"{job.log}: {lines[-1]}")
    if resume and is_regular(resume / PROGRESS):
        host = _host(resume)
        recent = time.time() - _time(resume / PROGRESS) < QUIET
        if queue is None and host and host != socket.gethostname() and recent:
            return Progress(RUNNING, _joined(_course(study, job, resume), f"on {host}"))
        return Progress(STOPPED, _joined(_course(study, job, resume), "resumes where it stopped", job.log))
    if job.log not in files:
        log = slurm.log_of(job)
        return Progress(FAILED, f"before it began: {log}") if log else Progress(WAITING)
    if lines and lines[-1].startswith(ENDED):  # made once, and removed since
        return Progress(WAITING)
    if lines and lines[-1].startswith(STOP):
        return Progress(STOPPED, lines[-1])
    return Progress(
        FAILED, f"{job.log}: no last word, killed from outside (memory?); the next call runs it again"
    )


def _joined(*words: str) -> str:
    return ", ".join(filter(None, words))


def _course(study: Study, job: Job, resume: Path | None) -> str:
    """How far a job with a resume folder is: what it has committed, when, and how long the rest takes."""
    if resume is None:
        return ""
    progress = json_object(resume / PROGRESS).get("progress")
    if not isinstance(progress, dict):
        return "nothing kept yet"
    if job.rule == TRAIN.name:
        words = _rounds(study, job, resume, progress)
    elif job.rule == PRETRAIN.name:
        epochs = study.inits[job.wildcards["init"]].start.settings.get("epochs", "?")
        words = f"epoch {count(progress.get('epoch')) or 0} of {epochs}"
    else:
        number = next((value for value in progress.values() if count(value) is not None), 0)
        words = f"{number} {STAGES[job.rule].unit} kept"
    return _joined(words, _ago(resume / PROGRESS))


def _rounds(study: Study, job: Job, resume: Path, progress: Mapping) -> str:
    """Round, last accuracy and time left of a run that trains."""
    rounds = study.methods[job.wildcards["method"]].rounds
    done = count(progress.get("round")) or 0
    accuracies = [
        cells[0] for row in last_rows(resume / "rounds.csv") if (cells := numbers(row, "test_accuracy"))
    ]
    seconds = [
        sum(cells)
        for row in last_rows(resume / "timing.csv")
        if row.get("peak_memory_mib")
        and row.get("round") != "0"
        and (cells := numbers(row, "training_seconds", "evaluation_seconds"))
    ][-RECENT_ROUNDS:]
    return _joined(
        f"round {done} of {rounds}",
        f"accuracy {accuracies[-1]:.3f}" if accuracies else "",
        f"{duration(sum(seconds) / len(seconds) * (rounds - done))} left" if seconds else "",
    )


def _is_error(lines: Sequence[str]) -> bool:
    """Whether a log ends with an error: its last line is ours, or the end of a traceback."""
    if not lines or lines[-1].startswith((ENDED, STOP)):
        return False
    return lines[-1].startswith("fedscape: ") or TRACEBACK in lines


def _host(resume: Path) -> str:
    """The machine whose process had the resume folder last, as its lock file says."""
    try:
        return read_regular(resume / LOCK).split()[0]
    except (OSError, ValueError, IndexError):
        return ""


def _time(path: str | Path) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0


def _ago(path: str | Path) -> str:
    """How long ago a file last grew."""
    return f"last line {duration(time.time() - _time(path))} ago"


def duration(seconds: float) -> str:
    """`12 s`, `3 min`, `4.5 h`, `2.1 d`."""
    for size, unit, digits in ((86400, "d", 1), (3600, "h", 1), (90, "min", 0)):
        if seconds >= size:
            return f"{seconds / (60 if unit == 'min' else size):.{digits}f} {unit}"
    return f"{max(0, seconds):.0f} s"
