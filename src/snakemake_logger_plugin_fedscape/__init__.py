"""fedscape's console as a logger of Snakemake's (`logger: fedscape` in a profile).

What Snakemake itself has to say of each job goes to its log file in .snakemake/log; `--verbose` brings it
to the terminal.
"""

import logging
import os
import sys
from threading import Event, Thread

from snakemake.logging import ColorizingTextHandler
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase

from fedscape.console.console import Console

TICK = 1.0
"""Seconds between two lines of progress on a terminal while nothing happens."""


class LogHandler(LogHandlerBase):
    """Hands what Snakemake logs to the console, or to Snakemake's own where `--verbose` asks for that."""

    def __post_init__(self) -> None:
        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        self._console = None
        self._ended = Event()
        if settings.verbose:
            self._plain = ColorizingTextHandler(settings.nocolor, stream)
            return
        self._console = Console(stream, stream.isatty(), settings.dryrun, settings.show_failed_logs)
        if self._console.is_live and not settings.dryrun:
            os.environ["TQDM_DISABLE"] = "1"  # jobs draw no bars into the line
            Thread(target=self._tick, args=(self._console,), daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record. An error here is told; it must not end the thread that hands records on."""
        if self._console is None:
            self._plain.setFormatter(self.formatter)
            self._plain.emit(record)
            return
        if record.levelno < logging.WARNING and Quietness.ALL in (self.common_settings.quiet or ()):
            return
        try:
            fields = vars(record)
            event = fields.get("event")
            name = None if event is None else str(event)
            self._console.show(name, record.getMessage(), record.levelno, fields)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Say what has come of the call."""
        self._ended.set()
        if self._console is not None:
            self.acquire()
            try:
                self._console.close()
            except Exception:
                self.handleError(logging.makeLogRecord({"msg": "the end of the call"}))
            finally:
                self.release()
        super().close()

    def _tick(self, console: Console) -> None:
        while not self._ended.wait(TICK):
            self.acquire()  # logging holds it while it emits
            try:
                console.tick()
            finally:
                self.release()

    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        """Snakemake's own filter and formatter are for `--verbose`."""
        return not self.common_settings.verbose

    @property
    def has_formatter(self) -> bool:
        return not self.common_settings.verbose

    @property
    def needs_rulegraph(self) -> bool:
        return False
