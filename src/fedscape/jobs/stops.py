"""When a job of many steps should end early: on a stop signal, or when SLURM's time limit is near."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # what SLURM sends ahead of a time limit or a pre-emption
END_TIME_VARIABLE = "SLURM_JOB_END_TIME"
"""Seconds since the epoch. SLURM 22.05 does not set it: there the signal alone counts."""
EXIT_SECONDS = 30  # what the end of a job needs beyond its last commit (Python, CUDA, slow disks)
GAP_FACTOR = 1.5  # a step may take longer than the longest one so far

_Handler = Callable[[int, FrameType | None], object] | int | None


class Stops:
    """Context manager within which stop signals are noted and do not end the process.

    signalled: name of the one that has arrived, or None.
    """

    def __init__(self):
        self.signalled: str | None = None
        self._handlers: dict[signal.Signals, _Handler] = {}
        self._longest_step = 0.0

    def __enter__(self) -> "Stops":
        # Python allows handlers in the main thread only; a notebook may train in another one.
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._catch) for number in STOP_SIGNALS}
        self._last_step = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def step_done(self) -> None:
        """Note that a step has ended, and so how long it took."""
        now = time.monotonic()
        self._longest_step = max(self._longest_step, now - self._last_step)
        self._last_step = now

    def requested(self) -> str | None:
        """Why to stop now, or None; the time limit is a reason if it may not hold the longest step again."""
        if self.signalled:
            return self.signalled
        end = os.environ.get(END_TIME_VARIABLE, "")
        if end.isdigit() and int(end) - time.time() < EXIT_SECONDS + GAP_FACTOR * self._longest_step:
            return "the time limit"
        return None

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.signalled = signal.Signals(number).name
