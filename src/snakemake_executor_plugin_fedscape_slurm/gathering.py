"""Which jobs go to SLURM together: those that ask it for the same, and are ready at about the same time."""

import time
from collections.abc import Callable, Hashable
from threading import Lock, Timer
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

Job = Any  # Snakemake's; the plug-ins' interface lacks its rule
PATIENCE = 4
"""Times the usual wait after which jobs are sent although others keep coming."""
# What Snakemake keeps beside a job, and SLURM is not asked for.
_NOT_ASKED = {"_cores", "_nodes", "tmpdir", "disk_mb", "disk_mib", "mem_mib"}


def asks_for(job: Job) -> Hashable:
    """The rule of a job and all that is asked of SLURM for it; jobs that are sent together have the same."""
    asked = {name: repr(value) for name, value in job.resources.items() if name not in _NOT_ASKED}
    return job.rule.name, job.threads, tuple(sorted(asked.items()))


def pack_size(job: Job) -> int:
    """How many jobs like this one share a task of SLURM's. Raises WorkflowError for what is no number."""
    size = job.resources.get("pack", 1)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise WorkflowError(
            f"fedscape: rule {job.rule.name}: pack: {size!r}; allowed is a whole number of jobs from 1"
        )
    return size


def submissions(jobs: list, pack: int, tasks: int) -> list[list[list]]:
    """Jobs that ask for the same, as submissions of at most `tasks` tasks of `pack` jobs; a rest by itself.

    Tasks of one submission hold equally many jobs, since SLURM gives all of them the same.
    """
    whole = len(jobs) // pack * pack
    full = [jobs[start : start + pack] for start in range(0, whole, pack)]
    sent = [full[start : start + tasks] for start in range(0, len(full), tasks)]
    return [*sent, [jobs[whole:]]] if jobs[whole:] else sent


class Asked:
    """What SLURM is asked for by a task: as by a job, with the memory and the cores of all of its members."""

    def __init__(self, task: list[Job]):
        self._job, members = task[0], len(task)
        self.threads = self._job.threads * members
        self.resources = _Resources(self._job.resources.items())
        for name in ("mem_mb", "cpus_per_task", "cpus_per_gpu"):
            if self.resources.get(name) and self.resources[name] > 0:  # below: SLURM is not told
                self.resources[name] *= members

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)


class _Resources(dict):
    """Resources as attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Gathering:
    """Jobs that wait to be sent with others, until there are enough or none has come for some seconds.

    seconds: to wait for another one. enough: how many jobs like this one are sent at once. send: takes jobs
    that ask for the same; it is called in the thread that adds a job, or in one of its own.
    """

    def __init__(
        self,
        seconds: float,
        enough: Callable[[Job], int],
        send: Callable[[list[Job]], None],
    ):
        self._seconds, self._enough, self._send = seconds, enough, send
        self._waiting: dict[Hashable, list[Job]] = {}
        self._since = 0.0
        self._timer: Timer | None = None
        self._lock = Lock()
        self._is_closed = False

    def add(self, jobs: list[Job]) -> None:
        """Have jobs wait for others like them."""
        full = []
        with self._lock:
            if not self._waiting:
                self._since = time.monotonic()
            for job in jobs:
                like = asks_for(job)
                self._waiting.setdefault(like, []).append(job)
                if len(self._waiting[like]) >= self._enough(job):
                    full.append(self._waiting.pop(like))
            self._set_timer()
        for group in full:
            self._send(group)

    def close(self) -> list[Job]:
        """The jobs that waited and are not sent any more."""
        with self._lock:
            self._is_closed = True
            jobs = [job for group in self._waiting.values() for job in group]
            self._waiting = {}
            self._set_timer()
            return jobs

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._waiting and not self._is_closed:
            left = self._since + PATIENCE * self._seconds - time.monotonic()
            self._timer = Timer(max(0.0, min(self._seconds, left)), self._ring)
            self._timer.daemon = True
            self._timer.start()

    def _ring(self) -> None:
        with self._lock:
            groups, self._waiting = self._waiting, {}
        for group in groups.values():
            self._send(group)
