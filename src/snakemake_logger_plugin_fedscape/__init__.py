"""fedscape's console as a logger of Snakemake's (`logger: fedscape` in a profile).

What Snakemake itself has to say of each job goes to its log file in .snakemake/log; `--verbose` brings it
to the terminal.
"""

import logging
import sys

from snakemake_interface_logger_plugins.base import LogHandlerBase

from fedscape.console.console import Console


class LogHandler(LogHandlerBase):
    """Hands what Snakemake logs to the console, or on to the terminal where `--verbose` asks for it."""

    def __post_init__(self) -> None:
        self._stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self._console = None
        if not self.common_settings.verbose:
            self._console = Console(self._stream, self._stream.isatty(), self.common_settings.dryrun)

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        if self._console is None:
            self._stream.write(f"{self.format(record)}\n")
            return
        fields = vars(record)
        event = fields.get("event")
        self._console.show(None if event is None else str(event), record.getMessage(), record.levelno, fields)

    def close(self) -> None:
        """Say what has come of the call."""
        if self._console is not None:
            self._console.close()
        super().close()

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
