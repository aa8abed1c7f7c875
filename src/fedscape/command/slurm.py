"""The queue of a cluster, where there is one: what `squeue` says of the jobs that Snakemake sent."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fedscape.jobs.submissions import comments, submission_folder
from fedscape.regular import is_regular
from fedscape.study.jobs import Job

PATIENCE = 2  # seconds that squeue may take; a controller that is down keeps it for minutes
FIELDS = "%i|%T|%r|%N|%Z|%k"  # number, state, reason, nodes, work folder, comment
COMPLETING = "COMPLETING"  # it has ended, and its node is cleared
RUNNING = ("RUNNING", COMPLETING)


@dataclass(frozen=True)
class Queued:
    """A job in the queue."""

    number: str
    state: str
    reason: str
    node: str

    @property
    def running(self) -> bool:
        """Whether it has a node."""
        return self.state in RUNNING

    @property
    def words(self) -> str:
        """For a person."""
        why = "" if self.reason in ("None", "") else f" ({self.reason})"
        return f"SLURM {self.number} {self.state.lower()}{why}"


def comment(job: Job) -> str:
    """What Snakemake's SLURM executor writes beside a job: its rule and its wildcards."""
    return f"rule_{job.rule}_wildcards_" + "_".join(job.wildcards.values()).replace("/", "_")


def installed() -> bool:
    """Whether this machine has SLURM's commands."""
    return shutil.which("squeue") is not None


def ask() -> subprocess.Popen | None:
    """The running `squeue` about the user's jobs; None on a machine without SLURM."""
    if not installed():
        return None
    command = ["squeue", "--me", "--noheader", "--array", f"--format={FIELDS}"]  # a line for each task
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    )


def queue(asked: subprocess.Popen | None, folder: Path) -> dict[str, Queued] | None:
    """The user's jobs that were sent from `folder`, by their comment; None where no squeue answers."""
    if asked is None:
        return None
    try:
        text, _ = asked.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        leave(asked)
        return None
    return _read(text, folder) if asked.returncode == 0 else None


def leave(asked: subprocess.Popen | None) -> None:
    """End a `squeue` whose answer nobody waits for any longer."""
    if asked is not None:
        with asked:  # closes its pipe, and waits for its end
            asked.kill()


def _read(text: str, folder: Path) -> dict[str, Queued]:
    queue = {}
    for line in text.splitlines():
        fields = line.split("|", 5)
        if len(fields) == 6 and Path(fields[4]) == folder:
            queue.update(dict.fromkeys(_jobs_of(fields[0], fields[5]), Queued(*fields[:4])))
    return queue


def _jobs_of(number: str, comment: str) -> list[str]:
    """The comments of the jobs that a line is about: of those that were sent together, what has not ended."""
    submission = submission_folder(comment)
    if submission is None:
        return [comment]
    task = number.partition("_")[2]
    return comments(submission, int(task) if task.isdigit() else 1)


def log_of(job: Job) -> str | None:
    """The newest log of SLURM's own for a job; there is one after a failure, and while the job runs."""
    folder = Path(".snakemake", "slurm_logs", f"rule_{job.rule}")
    logs = (folder / "_".join(job.wildcards.values()).replace("/", "_")).glob("*.log")
    return str(max(filter(is_regular, logs), key=lambda log: log.stat().st_mtime, default="")) or None
