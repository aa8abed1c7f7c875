"""Ranges and ticks of axes: what figures that are compared share, and percents as short numbers."""

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter

from fedscape.figures.labels import texts

MARGIN = 0.05  # share of a range that is left free at each end


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


def percent_ticks(axis: Axis) -> None:
    """Shares as percents, without zeros that say nothing: 25, not 25.0; the label says `%`."""
    axis.set_major_formatter(FuncFormatter(_percent))


def _percent(share: float, _: int | None) -> str:
    return f"{100 * share:.6g}".replace("-", "\N{MINUS SIGN}")
