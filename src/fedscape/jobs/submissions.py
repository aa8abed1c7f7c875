"""What went to SLURM as one submission: the jobs of each of its tasks, and how each of them has ended.

A submission is a folder. The executor beside the library writes it, the tasks on their nodes
(`jobs/members.py`) write into it, `fedscape status` reads it.
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from fedscape.files import read_json, write_json, write_text
from fedscape.regular import json_object, read_regular

SUBMISSIONS = Path(".snakemake", "slurm_submissions")
_TASKS = "tasks.json"
_COMMENT = re.compile(r"rule_.+_submission_([0-9a-f]+)")


@dataclass(frozen=True)
class Member:
    """A job among others in a task.

    comment: what SLURM is told beside a job that is sent alone, its rule and wildcards. command: for a shell.
    logs: folder of what SLURM logs of such a job.
    """

    comment: str
    command: str
    logs: str


def submission_comment(rule: str, name: str) -> str:
    """What SLURM is told beside a submission, whose folder has this name (hexadecimal)."""
    return f"rule_{rule}_submission_{name}"


def submission_folder(comment: str) -> Path | None:
    """The folder that a comment in SLURM's queue is about; None for a job that was sent alone."""
    found = _COMMENT.fullmatch(comment)
    return SUBMISSIONS / found[1] if found else None


def write_tasks(folder: Path, tasks: list[list[Member]]) -> None:
    """Begin a submission."""
    write_json(folder / _TASKS, {"tasks": [[asdict(member) for member in task] for task in tasks]})


def read_task(folder: Path, number: int) -> list[Member]:
    """The members of a task, which SLURM numbers from 1. Raises FedscapeError where the folder has none."""
    return [Member(**member) for member in read_json(folder / _TASKS)["tasks"][number - 1]]


def comments(folder: Path, number: int) -> list[str]:
    """The comments of those members of a task that have not ended; none where the folder is gone."""
    tasks = json_object(folder / _TASKS).get("tasks", [])
    task = tasks[number - 1] if number <= len(tasks) else []
    ended = (exit_code(exit_file(folder, number, place)) is not None for place in range(len(task)))
    return [member["comment"] for member, has_ended in zip(task, ended, strict=True) if not has_ended]


def exit_file(folder: Path, number: int, place: int) -> Path:
    """Where it is kept how a member has ended, by the number of its task and its place there, from 0."""
    return folder / f"{number}-{place}.exit"


def write_exit_code(path: Path, code: int) -> None:
    """Keep how a member has ended; the file is whole or not there."""
    write_text(path, f"{code}\n")


def exit_code(path: Path) -> int | None:
    """How a member has ended; None while it has not, or while its file cannot be read."""
    try:
        return int(read_regular(path))
    except (OSError, ValueError):
        return None
