"""Progress of a run: a bar in a terminal, lines in a log."""

import math
import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

from fedscape.jobs.resume_state import say

LOG_MEASURES = ("client_loss", "train_loss", "validation_loss", "test_loss", "test_accuracy")


class ProgressDisplay:
    """Shows how far a run is. The bar goes to the terminal even if a script sends its output to a log."""

    def __init__(self, total: int, done: int, unit: str = "round"):
        self.total, self.unit = total, unit
        terminal = sys.__stderr__
        has_terminal = terminal is not None and terminal.isatty()
        self._bar = (
            tqdm(total=total, initial=done, unit=unit, file=terminal, leave=False) if has_terminal else None
        )
        self._since = time.perf_counter()
        self._lines = sys.stderr is not terminal or not has_terminal

    def step(self, number: int, measures: Mapping[str, object]) -> None:
        """Round (or epoch) `number` is done; measures that are NaN are not shown."""
        shown = {
            name: value
            for name, value in measures.items()
            if name in LOG_MEASURES and isinstance(value, float) and not math.isnan(value)
        }
        if self._bar is not None:
            self._bar.update(number - self._bar.n)
            self._bar.set_postfix({name: f"{value:.4g}" for name, value in shown.items()})
        seconds = time.perf_counter() - self._since
        self._since = time.perf_counter()
        if self._lines:
            text = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in shown.items())
            say(f"{self.unit} {number}/{self.total}: {text}, {seconds:.2f} s")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
