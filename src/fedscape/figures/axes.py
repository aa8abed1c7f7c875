"""Ranges, ticks and labels of axes: what figures that are compared share, and words that fit their panels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fedscape.figures.labels import balanced, texts
from fedscape.figures.style import plain_log_ticks

MARGIN = 0.05  # share of a range that is left free at each end
FEWEST_LETTERS = 20  # of a line of a vertical label
LONGEST_LABEL = 1.1  # of a vertical axis or of a title, in heights or widths of its panel
TICK_GAP = 1.3  # between two named ticks of a horizontal axis, in widths of the longest name


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


def share_range(panels: Sequence[Axes], values: pd.Series, measure: str, log: bool) -> None:
    """One vertical range, of all values of a loss or an error, for panels that share their vertical axis."""
    limits = value_range(values, log)
    if log:
        panels[0].set_yscale("log")
    if limits:
        panels[0].set_ylim(*limits)
    if log:
        plain_log_ticks(panels[0].yaxis, most=9)
    if measure == "error":
        percent_ticks(panels[0].yaxis)


class RoundLocator(MaxNLocator):
    """Ticks at whole rounds up to the last one; what stands beyond it is at no round."""

    def __init__(self, last: int):
        super().__init__("auto", integer=True)
        self._last = last

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Whole numbers from 0 to the last round."""
        return [tick for tick in super().tick_values(vmin, vmax) if 0 <= tick <= self._last]


def fit_labels(figure: Figure) -> None:
    """Labels longer than their panels, and titles that touch, in more lines; call it last."""
    figure.draw_without_rendering()
    titles = [axes.title for axes in figure.axes if axes.get_title()]
    extents = [title.get_window_extent() for title in titles]
    for title, extent in zip(titles, extents, strict=True):
        others = [other for other in extents if other is not extent]
        if title.axes and any(extent.overlaps(other) for other in others):
            _break(title, extent.width / title.axes.bbox.width, 1)
    for axes in figure.axes:
        along = axes.xaxis.label
        # No longer than the panel: of the last one the page would cut off the end.
        _break(along, along.get_window_extent().width / axes.bbox.width, 1, longest=1.0)
        fit_vertical_label(axes)


def fit_vertical_label(axes: Axes) -> None:
    """The label of a vertical axis in more lines where it is longer than its panel, as that is laid out."""
    label = axes.yaxis.label
    _break(label, label.get_window_extent().height / axes.bbox.height, FEWEST_LETTERS)


def _break(text: Text, length: float, fewest: int, longest: float = LONGEST_LABEL) -> None:
    """A text in lines that fit. length, longest: in panels. fewest: letters of a line."""
    if text.get_text() and length > longest:
        longest_line = max(map(len, text.get_text().split("\n")))
        letters = max(fewest, int(longest_line * longest / length))
        text.set_text(balanced(text.get_text(), letters))


def thin_ticks(axes: Axes) -> None:
    """Every second, third, ... of named ticks along a panel where all would touch, after `fit_labels`."""
    labels = axes.get_xticklabels()
    widest = max((label.get_window_extent().width for label in labels), default=0.0)
    stride = max(1, int(np.ceil(TICK_GAP * widest * len(labels) / axes.bbox.width)))
    if stride > 1:
        axes.set_xticks(axes.get_xticks()[::stride], [label.get_text() for label in labels[::stride]])


def percent_ticks(axis: Axis) -> None:
    """Shares as percents, without zeros that say nothing: 25, not 25.0; the label says `%`.

    After `plain_log_ticks`, which has its own way to write them.
    """
    axis.set_major_formatter(FuncFormatter(_percent))


def _percent(share: float, _: int | None) -> str:
    return f"{100 * share:.6g}".replace("-", "\N{MINUS SIGN}")
