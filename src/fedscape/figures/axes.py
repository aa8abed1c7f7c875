"""Ranges, ticks and labels of axes: what figures that are compared share, and words that fit their panels."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fedscape.figures.labels import texts

MARGIN = 0.05  # share of a range that is left free at each end
FEWEST_LETTERS = 20  # of a line of a vertical label
LONGEST_LABEL = 1.1  # of a vertical axis, in heights of its panel


def in_rows(frame: pd.DataFrame, conditions: dict | None) -> pd.Series:
    """Whether each row has the values of all conditions (column -> value or list of values)."""
    keep = pd.Series(True, index=frame.index)
    for column, value in (conditions or {}).items():
        keep &= frame[column].astype(str).isin(texts(value))
    return keep


def value_range(values: pd.Series, log: bool) -> tuple[float, float] | None:
    """The ends of an axis that shows all finite values, with a margin; None without two of them.

    log: the axis is logarithmic, and shows what is above 0.
    """
    numbers = values.to_numpy(float)
    numbers = numbers[np.isfinite(numbers) & ((numbers > 0) | (not log))]
    if not len(numbers) or numbers.min() == numbers.max():
        return None
    ends = np.log(numbers) if log else numbers
    low, high = ends.min(), ends.max()
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    return (float(np.exp(low)), float(np.exp(high))) if log else (float(low), float(high))


class RoundLocator(MaxNLocator):
    """Ticks at whole rounds up to the last one; what stands beyond it is at no round."""

    def __init__(self, last: int):
        super().__init__("auto", integer=True)
        self._last = last

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Whole numbers from 0 to the last round."""
        return [tick for tick in super().tick_values(vmin, vmax) if 0 <= tick <= self._last]


def fit_labels(figure: Figure) -> None:
    """Vertical labels that are longer than their panels, in more lines. Call it when all else is drawn."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        label = axes.yaxis.label
        room, length = LONGEST_LABEL * axes.bbox.height, label.get_window_extent().height
        if label.get_text() and length > room:
            lines = label.get_text().split("\n")
            letters = max(FEWEST_LETTERS, int(max(map(len, lines)) * room / length))
            label.set_text("\n".join(fill(line, letters, break_long_words=False) for line in lines))


def percent_ticks(axis: Axis) -> None:
    """Shares as percents, without zeros that say nothing: 25, not 25.0; the label says `%`."""
    axis.set_major_formatter(FuncFormatter(_percent))


def _percent(share: float, _: int | None) -> str:
    return f"{100 * share:.6g}".replace("-", "\N{MINUS SIGN}")
