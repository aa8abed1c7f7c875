"""Snakemake's console for fedscape (`logger: fedscape` in a profile): one line of progress, or a plan.

What Snakemake itself has to say of each job goes to its log file in .snakemake/log; `--verbose` brings it to
the terminal. Warnings and errors are always shown.
"""

import logging
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from fedscape.console.plan import PlannedJob, plan_lines
from fedscape.console.progress import Progress, duration
from fedscape.console.results import result_lines
from fedscape.errors import printable

SECONDS = 0.2
"""Between two changes of the line on a terminal; a file gets a line a minute."""
LINE_SECONDS = 60
# Snakemake's words around an error that a line of ours has named.
BOILERPLATE = ("Exiting because a job execution failed", "At least one job did not complete successfully")
NOTHING = "Nothing to be done"  # how Snakemake begins, at the level of a note, where all is up to date
CLEAR = "\r\x1b[2K"


class LogHandler(LogHandlerBase):
    """Shows a call as it goes on; Snakemake hands records over from a thread of its own."""

    writes_to_stream = True
    writes_to_file = False
    needs_rulegraph = False

    @property
    def has_filter(self) -> bool:
        """Snakemake's own filter is for `--verbose`."""
        return not self.common_settings.verbose

    @property
    def has_formatter(self) -> bool:
        """Likewise its formatter."""
        return not self.common_settings.verbose

    def __post_init__(self) -> None:
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.is_live = self.stream.isatty() and not self.common_settings.verbose
        self.progress = Progress(time.monotonic())
        self.planned: list[PlannedJob] = []
        self.results: dict[Path, None] = {}  # of the studies that have had jobs, in their order
        self.failures = 0
        self.is_closed = False
        self.last = 0.0  # when the line was written

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record in."""
        if self.common_settings.verbose:
            self.stream.write(self.format(record) + "\n")
            return
        event = getattr(record, "event", None)
        react = getattr(self, f"_{event}", None) if event else None
        if react:
            react(record)
        elif record.levelno >= logging.WARNING or record.getMessage().startswith(NOTHING):
            self._say(record.getMessage())

    def close(self) -> None:
        """Say what has come of it, once: Snakemake and then Python itself close a handler."""
        if not self.common_settings.verbose and not self.is_closed:
            self.is_closed = True
            if self.common_settings.dryrun:
                self._print(plan_lines(self.planned))
            elif self.progress.total:
                self._line()
                self._end()
        super().close()

    def _run_info(self, record: logging.LogRecord) -> None:
        stats = Counter({stage: count for stage, count in record.stats.items() if stage != "total"})
        if not self.progress.total:
            self.progress.totals = stats

    def _job_info(self, record: logging.LogRecord) -> None:
        if self.common_settings.dryrun:
            self.planned.append(PlannedJob(record.rule_name, record.reason))
            return
        names = record.wildcards or {}
        if {"study", "scale"} <= set(names.keys()):
            self.results[Path("results", names["study"], names["scale"])] = None
        self.progress.started(record.jobid, record.rule_name, time.monotonic())
        self._tick()

    def _job_finished(self, record: logging.LogRecord) -> None:
        self.progress.ended(record.job_id, time.monotonic())
        self._tick()

    def _job_error(self, record: logging.LogRecord) -> None:
        self.progress.failed(record.jobid)
        self.failures += 1
        self._say(f"{record.rule_name} failed; its log: {', '.join(map(str, record.log)) or 'none'}")

    def _error(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())

    def _end(self) -> None:
        """The last lines of a call."""
        if self.is_live:
            self.stream.write("\n")
        if self.progress.done == self.progress.total:
            self._print(line for folder in self.results for line in result_lines(folder))
        elif self.failures:
            self._print([f"{self.failures} jobs failed; run again to continue with what is left"])

    def _tick(self) -> None:
        """Write the line, if the one that stands there is old."""
        if time.monotonic() - self.last >= (SECONDS if self.is_live else LINE_SECONDS):
            self._line()

    def _line(self) -> None:
        self.last = time.monotonic()
        text = printable(self.progress.line(self.last))
        if self.is_live:
            self.stream.write(f"{CLEAR}{text[: shutil.get_terminal_size().columns - 1]}")
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def _say(self, text: str) -> None:
        """A line of its own, above that of progress."""
        if not any(text.startswith(words) for words in BOILERPLATE):
            self.stream.write(f"{CLEAR if self.is_live else ''}{printable(text)}\n")
            self.stream.flush()

    def _print(self, lines) -> None:
        for line in lines:
            self.stream.write(f"{printable(line)}\n")
        self.stream.flush()
