"""`fedscape status`: what of a study is done, runs, waits or has failed."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fedscape.command import slurm
from fedscape.command.place import enter_repository, settings
from fedscape.command.progress import DONE, STATES, WAITING, Progress, progress_of
from fedscape.errors import printable
from fedscape.study.campaign import read_study
from fedscape.study.jobs import Job, jobs_of
from fedscape.study.study import Study

SECONDS = 5  # between two looks of --watch
CLEAR = "\033[H\033[2J"  # terminals' sequences: home, and empty


def status(
    study: str | None, changes: Sequence[str], configfiles: Sequence[str], watch: bool, every_job: bool
) -> int:
    """Print the table, again and again if `watch`; every_job: jobs that are done or wait by name too."""
    enter_repository()
    asked = slurm.ask()
    chosen = read_study(Path.cwd(), settings(study, changes, configfiles))
    jobs = jobs_of(chosen)
    while True:
        queue = slurm.queue(asked, Path.cwd())
        text = "\n".join(map(printable, _table(chosen, jobs, queue, every_job)))
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
    done = sum(one.state == DONE for one in states)
    yield f"{study.name} at {study.scale}: {done} of {len(jobs)} jobs done"
    table = list(zip(jobs, states, strict=True))
    width = max(len(job.rule) for job in jobs)
    name_width = max((len(job.name) for job, one in table if _shown(one, every_job)), default=0)
    for rule in dict.fromkeys(job.rule for job in jobs):
        members = [(job, one) for job, one in table if job.rule == rule]
        counts = Counter(one.state for _, one in members)
        totals = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        yield f"{rule:<{width}}  {totals}"
        for job, one in members:
            if _shown(one, every_job):
                yield f"{'':<{width}}  {job.name:<{name_width}}  {one.state:<7}  {one.words}".rstrip()
    if queue is None and slurm.installed():
        yield "squeue does not answer: what SLURM has is not shown"


def _shown(one: Progress, every_job: bool) -> bool:
    return every_job or one.state not in (DONE, WAITING)
