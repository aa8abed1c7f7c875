"""Kills jobs of a study while Snakemake makes it, over and over until it is made, and counts what that cost.

Jobs are found as processes that have their log open, wherever Snakemake or a scheduler on this machine has started them.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from clone import Clone

from fedscape.jobs.resume import PROGRESS
from fedscape.study.jobs import Job

STAGES = ("pretrain", "train", "plane", "surface_part", "surface", "path", "layers", "curvature")
"""Stages whose jobs may be long, in the order in which a study comes to them."""
HOW, WEIGHTS = ("job", "group", "snakemake"), (3, 3, 1)
"""Who dies: the job alone; its process group, which is Snakemake with all its jobs where these run locally, and the
job with all that started it where a scheduler runs it; Snakemake alone, while its jobs go on."""
LOOK = 0.1  # seconds between two looks at the processes
PATIENCE = 1800  # seconds without a job to kill
ATTEMPTS = 4  # of Snakemake at what is left in the end, of which none may fail but for a job that still runs
CONTINUED = re.compile(r"continuing after|points are there already|finished before")
AFRESH = "starting afresh"


@dataclass
class Tally:
    """What has been killed, and what that cost."""

    kills: Counter = field(default_factory=Counter)  # by stage, jobs that died with others included
    committed: Counter = field(default_factory=Counter)  # of these, such as had committed something
    missed: int = 0  # kills that came too late: the job had ended
    losses: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        names = (*STAGES, "snakemake")
        rows = [f"{name:<14}{self.kills[name]:>6}{self.committed[name]:>17}" for name in names]
        total = f"{'all':<14}{self.kills.total():>6}{self.committed.total():>17}"
        return "\n".join(
            [f"{'stage':<14}{'kills':>6}{'after a commit':>17}", *rows, total,
             f"too late: {self.missed}", f"losses: {len(self.losses)}", *self.losses]
        )  # fmt: skip


def shares(kills: int, stages: Sequence[str], draw: random.Random) -> Counter:
    """How many kills each stage gets: the same number, and what is left to some of them."""
    return Counter(dict.fromkeys(stages, kills // len(stages))) + Counter(
        draw.sample(stages, kills % len(stages))
    )


class Campaign:
    """A study that is made in a clone under faults.

    executor: arguments that say where jobs run. environment: more variables. seconds: what a job of each stage
    takes when it is left alone.
    """

    def __init__(
        self,
        clone: Clone,
        study: str,
        scale: str,
        seconds: Mapping[str, float],
        executor: Sequence[str] = ("--cores", "2"),
        environment: Mapping[str, str] | None = None,
    ):
        self.clone, self.seconds = clone, seconds
        self.arguments = [study, *executor, "--config", f"scale={scale}"]
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        self.jobs = {job.log: job for job in clone.jobs(study, scale)}
        self.tally = Tally()
        self._driver: subprocess.Popen | None = None
        # Log of a job that died, or lost its Snakemake -> what it had committed, and the log as it was (None: not yet).
        self._owed: dict[str, tuple[dict, tuple | None]] = {}

    def play(self, kills: int, seed: int) -> Tally:
        """Make the study, with so many kills on the way, if there is time for them."""
        draw = random.Random(seed)
        left = shares(
            kills, [one for one in STAGES if any(job.rule == one for job in self.jobs.values())], draw
        )
        waited = time.monotonic()
        try:
            while left.total() and not self._is_made():
                self._drive()
                if running := [(process, job) for process, job in self._running() if left[job.rule]]:
                    process, job = draw.choice(running)
                    left[job.rule] -= self._strike(process, job, draw)
                    waited = time.monotonic()
                assert time.monotonic() - waited < PATIENCE, f"no job for {PATIENCE} s:\n{self._said()}"
                time.sleep(LOOK)
            self._finish()
        finally:
            self._stop()
        for log, owed in self._owed.items():
            self._judge(log, *owed)
        return self.tally

    def _is_made(self) -> bool:
        return self._driver is not None and self._driver.poll() == 0

    def _strike(self, process: psutil.Process, job: Job, draw: random.Random) -> bool:
        """Kill a job, or with it or in its place others, at a random moment; whether it was in time."""
        how = draw.choices(HOW, weights=WEIGHTS)[0]
        self._wait_for_moment(process, job, draw.random(), after_commit=draw.random() < 0.5)
        try:
            group = os.getpgid(process.pid)
            is_local = group == self._driver.pid
            if how == "job":
                dying = [(process, job)]
                process.kill()
            elif how == "group":
                assert group != os.getpgid(0), "that would be this test"
                dying = [(one, other) for one, other in self._running() if os.getpgid(one.pid) == group]
                os.killpg(group, signal.SIGKILL)
            else:
                dying = []
                self._driver.kill()
        except (psutil.NoSuchProcess, ProcessLookupError):
            self.tally.missed += 1
            return False
        if how == "snakemake" or (how == "group" and is_local):
            self._driver.wait()
            self.tally.kills["snakemake"] += 1
        if how == "snakemake":
            for _, orphan in self._running():
                if orphan.rule in STAGES:
                    self._note(orphan)
        for one, killed in dying:
            while _is_alive(one):
                time.sleep(LOOK)
            if killed.rule in STAGES:
                self.tally.kills[killed.rule] += 1
                self.tally.committed[killed.rule] += self._note(killed)
        return True

    def _wait_for_moment(self, process: psutil.Process, job: Job, moment: float, after_commit: bool) -> None:
        """Until a share of the time that such a job takes; or at once after its first, second or third commit."""
        if after_commit:
            progress = self.clone.folder / job.resume / PROGRESS
            last, seen, wanted = _state(progress), 0, 1 + int(3 * moment)
            while _is_alive(process) and seen < wanted:
                now = _state(progress)
                seen, last = seen + (now != last), now
                time.sleep(0.001)
        else:
            until = time.monotonic() + moment * self.seconds[job.rule]
            while _is_alive(process) and time.monotonic() < until:
                time.sleep(LOOK)

    def _note(self, job: Job) -> bool:
        """Whether a job had committed something: the next process has to go on from there."""
        try:
            state = json.loads((self.clone.folder / job.resume / PROGRESS).read_text())
        except FileNotFoundError:
            return False
        before, _ = self._owed.get(job.log, (state, None))
        if _amount(state) < _amount(before):
            self.tally.losses.append(
                f"{job.log}: {before['progress']} was committed, now {state['progress']}"
            )
        if not _amount(state):
            return False
        self._owed[job.log] = state, _state(self.clone.folder / job.log)
        return True

    def _judge(self, log: str, committed: dict, written: tuple | None) -> None:
        """Whether the last process of a job went on from what was committed, if there had to be another one."""
        path = self.clone.folder / log
        text = path.read_text()
        was_the_last = committed["finished"] is not None and _state(path) == written
        if AFRESH in text or not (was_the_last or CONTINUED.search(text)):
            self.tally.losses.append(
                f"{log}: made again from the start, though {committed} was committed:\n{text}"
            )

    def _running(self) -> list[tuple[psutil.Process, Job]]:
        """Jobs that run in the clone."""
        found = []
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()) == self.clone.folder:
                    logs = (os.path.relpath(file.path, self.clone.folder) for file in process.open_files())
                    found += [(process, self.jobs[log]) for log in logs if log in self.jobs]
            except psutil.Error:
                continue  # it has ended, or is somebody else's
        return found

    def _drive(self) -> None:
        """Start Snakemake again if it has been killed or has given up; at once, whoever is still at work."""
        if self._is_made() or (self._driver is not None and self._driver.poll() is None):
            return
        self.clone.snakemake(*self.arguments, "--unlock", **self.environment)
        with self._output.open("a") as output:
            self._driver = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *self.arguments],
                cwd=self.clone.folder, env=self.environment, start_new_session=True,
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def _finish(self) -> None:
        """Have Snakemake make the rest, undisturbed."""
        failures = 0
        while failures < ATTEMPTS:
            orphans = [process for process, _ in self._running()]
            self._drive()
            if self._driver.wait() == 0:
                return
            failures += not orphans  # these may have had the resume folder that a job wanted
        raise AssertionError(f"the study is not made:\n{self._said()}")

    def _stop(self) -> None:
        if self._driver is not None and self._driver.poll() is None:
            os.killpg(self._driver.pid, signal.SIGKILL)
            self._driver.wait()
        for process, _ in self._running():
            process.kill()

    @property
    def _output(self) -> Path:
        return self.clone.folder / "campaign.log"

    def _said(self) -> str:
        return self._output.read_text()[-4000:] if self._output.exists() else ""


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _amount(state: Mapping) -> float:
    """How much is committed: rounds, epochs, points, models."""
    if state["finished"] is not None:
        return float("inf")
    return max((value for value in state["progress"].values() if isinstance(value, int)), default=0)


def _state(path: Path) -> tuple | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
