"""`fedscape status`: what of a study is done, runs, waits or has failed."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fedscape.command import slurm
from fedscape.command.progress import DONE, STATES, WAITING, Progress, progress_of
from fedscape.command.repository import enter_repository, study_here
from fedscape.errors import printable
from fedscape.study.jobs import Job, jobs_of
from fedscape.study.study import Study

SECONDS = 5  # between two looks of --watch
CLEAR = "\033[H\033[2J"  # terminals' sequences: home, and empty


def status(
    study: str | None, changes: Sequence[str], configfiles: Sequence[str], watch: bool, every_job: bool
) -> int:
    """Print the table, repeatedly if `watch`; every_job: jobs that are done or wait by name too."""
    enter_repository()
    asked = slurm.ask()
    try:
        content = study_here(study, changes, configfiles)
    except BaseException:
        slurm.leave(asked)
        raise
    jobs = jobs_of(content)
    while True:
        queue = slurm.queue(asked, Path.cwd())
        text = "\n".join(map(printable, _table(content, jobs, queue, every_job)))
        if not watch:
            print(text)
            return 0
        print(f"{CLEAR if sys.stdout.isatty() else ''}{text}", flush=True)
        time.sleep(SECONDS)
        asked = slurm.ask()


def _table(
    study: Study, jobs: Sequence[Job], queue: Mapping[str, slurm.Queued] | None, every_job: bool
) -> Iterator[str]:
    states = progress_of(study, jobs, queue)
    done = sum(progress.state == DONE for progress in states)
    yield f"{study.name} at {study.scale}: {done} of {len(jobs)} jobs done"
    table = list(zip(jobs, states, strict=True))
    width = max(len(job.rule) for job in jobs)
    label_width = max((len(job.label) for job, progress in table if _shown(progress, every_job)), default=0)
    for rule in dict.fromkeys(job.rule for job in jobs):
        members = [(job, progress) for job, progress in table if job.rule == rule]
        counts = Counter(progress.state for _, progress in members)
        totals = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        yield f"{rule:<{width}}  {totals}"
        for job, progress in members:
            if _shown(progress, every_job):
                state = f"{progress.state:<7}  {progress.words}"
                yield f"{'':<{width}}  {job.label:<{label_width}}  {state}".rstrip()
    if queue is None and slurm.installed():
        yield "squeue does not answer: what SLURM has is not shown"


def _shown(progress: Progress, every_job: bool) -> bool:
    return every_job or progress.state not in (DONE, WAITING)
