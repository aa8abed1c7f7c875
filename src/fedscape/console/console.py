"""The console: what Snakemake tells of a call, in one line that changes or as the plan of a dry run."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from fedscape.command.lenient_readers import last_lines
from fedscape.console.plan import PlannedJob, plan_lines
from fedscape.console.progress import CallProgress
from fedscape.console.results import result_lines
from fedscape.console.within import parts_done
from fedscape.errors import printable
from fedscape.terminal import CLEAR

LIVE_SECONDS, FILE_SECONDS = 0.2, 60
"""Between two lines of progress: on a terminal, where one takes the place of the other, and in a file."""
LOOK_SECONDS = 2
"""Between two looks at the logs of running jobs, on a terminal."""
LOG_LINES = 5
"""Lines of the log of a job that has failed: the last one is ours, or the end of a traceback."""
NOTHING = "Nothing to be done"
"""How Snakemake begins, at the level of a note, where all is up to date."""
PREPARING = ("Assuming unrestricted", "Building DAG", "Config file", "Processed")
"""How its notes begin that come before anything else, whatever was asked for."""
BOILERPLATE = (
    "Exiting because a job execution failed",
    "RuleException:\nCalledProcessError",
    "WorkflowError:\nAt least one job did not complete successfully",
)
"""How its messages begin that say again what the line about a failed job has said."""


class Console:
    """One call of Snakemake, as it is told event by event.

    stream: where to write. is_live: whether it is a terminal, whose line can be written anew. is_dry_run:
    whether jobs are only listed. shows_logs: whether to quote the log of a job that has failed: on a cluster
    a job reaches no terminal. clock: seconds, of `time.monotonic`.
    """

    def __init__(
        self,
        stream: TextIO,
        is_live: bool,
        is_dry_run: bool,
        shows_logs: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.stream, self.is_live, self.is_dry_run, self.clock = stream, is_live, is_dry_run, clock
        self.shows_logs = shows_logs
        self._progress = CallProgress(clock())
        self._planned: list[PlannedJob] = []
        self._logs: dict[int, Path] = {}  # of the jobs that run, by their numbers
        self._results: dict[Path, None] = {}  # folders of the studies that were asked for or have had jobs
        self._notes: list[str] = []  # what a call says that runs no job: `--lint`, `--unlock`
        self._has_jobs = self._is_up_to_date = False
        self._has_line = False  # whether the last line is one of progress, to be written anew
        self._failures = 0
        self._last_line = self._last_look = -FILE_SECONDS
        self._is_closed = False

    def show(self, event: str | None, message: str, level: int, fields: Mapping[str, Any]) -> None:
        """Take in what Snakemake logs: an event with its fields, or a mere message (event None)."""
        if event == "run_info":
            self._has_jobs = True
            if not self._progress.total:
                stats = fields["stats"].items()
                self._progress.totals = Counter({stage: count for stage, count in stats if stage != "total"})
        elif event == "job_info":
            self._job(fields)
        elif event == "job_finished":
            self._progress.ended(fields["job_id"], self.clock())
            self._logs.pop(fields["job_id"], None)
            self.tick()
        elif event == "job_error":
            self._failed(fields)
        elif event == "group_error":
            for job in fields["job_error_info"]:
                self._failed(job)
        elif event is None and {"study", "scale"} <= fields.keys():  # a target, as rules/common.smk says
            self._add_study(fields)
        elif (event in (None, "error") and level >= logging.WARNING) or message.startswith(NOTHING):
            self._has_jobs = True
            self._is_up_to_date |= message.startswith(NOTHING)
            self._say(message)
        elif event is None and level == logging.INFO and not message.startswith(PREPARING):
            self._notes.append(message)

    def tick(self) -> None:
        """Write the line of progress if the one before is old; called often where a person watches."""
        now = self.clock()
        if not self._progress.total or self.is_dry_run or self._is_closed:
            return
        if self.is_live and now - self._last_look >= LOOK_SECONDS:
            self._last_look = now
            self._progress.parts = dict(parts_done(self._logs))
        if now - self._last_line >= (LIVE_SECONDS if self.is_live else FILE_SECONDS):
            self._write_progress()

    def close(self) -> None:
        """Say what has come of the call; only the first time."""
        if self._is_closed:
            return
        if not self._has_jobs:
            for note in self._notes:
                self._say(note)
        elif self._is_up_to_date:
            self._write_results()
        elif self.is_dry_run:
            self._write_lines(plan_lines(self._planned))
        elif self._progress.total and (self._has_line or self._progress.done or self._failures):
            self._write_progress()
            if self.is_live:
                self.stream.write("\n")
            if self._progress.done == self._progress.total:
                self._write_results()
            elif self._failures:
                self._write_lines([f"{self._failures} failed; run again to resume what is left"])
        self._is_closed = True

    def _job(self, fields: Mapping[str, Any]) -> None:
        if self.is_dry_run:
            self._planned.append(PlannedJob(fields["rule_name"], fields["reason"] or ""))
            return
        names = dict(fields["wildcards"] or {})
        if {"study", "scale"} <= names.keys():
            self._add_study(names)
        number, logs = fields["jobid"], fields["log"] or ()
        self._progress.started(number, fields["rule_name"], self.clock())
        if logs:
            self._logs[number] = Path(str(logs[0]))
        self.tick()

    def _add_study(self, names: Mapping[str, Any]) -> None:
        self._results[Path("results", names["study"], names["scale"])] = None

    def _failed(self, fields: Mapping[str, Any]) -> None:
        self._progress.failed(fields["jobid"])
        self._logs.pop(fields["jobid"], None)
        self._failures += 1
        logs = [str(path) for path in fields["log"] or ()]
        self._say(f"{fields['rule_name']} failed; its log: {', '.join(logs) or 'none'}")
        if self.shows_logs and logs:
            self._write_lines(f"  {line}" for line in last_lines(logs[0])[-LOG_LINES:])

    def _say(self, text: str) -> None:
        """Lines of their own, above that of progress."""
        if not text.startswith(BOILERPLATE):
            self._write(CLEAR if self.is_live and self._has_line else "")
            self._write_lines(text.strip("\n").split("\n"))
            self._has_line = False

    def _write_progress(self) -> None:
        self._last_line, self._has_line = self.clock(), True
        line = printable(self._progress.line(self._last_line))
        if self.is_live:  # a line that wraps could not be cleared
            # What a job prints overwrites the line instead of following it; one that fails empties it first.
            self._write(f"{CLEAR}{line[: shutil.get_terminal_size().columns - 1]}\r")
        else:
            self._write(f"{line}\n")

    def _write_results(self) -> None:
        self._write_lines(line for folder in self._results for line in result_lines(folder))

    def _write_lines(self, lines: Iterable[str]) -> None:
        self._write("".join(f"{printable(line)}\n" for line in lines))

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
