"""Barrier that is left when the line between two models may bend, beside that of the straight line.

`left` is the share of the straight line's barrier that the curve still has, of the mean (or whichever
statistic) over pairs; without a straight barrier there is nothing that could be left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.fields import LossOrError, Split

SOURCES = ("curve_barriers",)


@dataclass(frozen=True)
class Settings:
    """Which barrier of which line, and how those of several pairs become one number."""

    line: Literal["curve", "straight", "left"] = "curve"  # left: the curve's over the straight line's
    height: Literal["sup", "midpoint"] = "sup"  # sup: the largest rise, >= 0; midpoint: that at t = 1/2
    statistic: Literal["mean", "min", "max"] = "mean"  # over the pairs of the case
    of: LossOrError = "loss"  # loss: mean cross-entropy; error: share of wrong answers
    split: Split = "train"  # train: the data of all clients together
    least: float = 0.0  # of `left`: a straight barrier that is not above it is none

    def __post_init__(self):
        if self.line == "left" and self.height != "sup":
            raise ValueError("line left is a share of sup; a midpoint may lie on either side of 0")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """The statistic over pairs; NaN if there is none, or one was not measured."""
    if settings.line != "left":
        return _statistic(frames, settings, settings.line)
    straight = _statistic(frames, settings, "straight")
    return _statistic(frames, settings, "curve") / straight if straight > settings.least else float("nan")


def standard_error(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Standard error over the samples, 0 where all were evaluated; of the pair that is the least or greatest.

    Of a mean the mean of them: pairs share their samples. Not known of `left`, whose two parts share theirs.
    """
    if settings.line == "left":
        return float("nan")
    barriers = _selected(frames, settings, settings.line)
    errors, heights = (
        barriers[column].astype(float) for column in (f"{settings.height}_se", settings.height)
    )
    if not len(barriers) or heights.isna().any():
        return float("nan")
    if settings.statistic == "mean":
        return float(errors.mean(skipna=False))
    return float(errors.iloc[heights.argmin() if settings.statistic == "min" else heights.argmax()])


def _statistic(frames: Mapping[str, pd.DataFrame], settings: Settings, line: str) -> float:
    heights = _selected(frames, settings, line)[settings.height].astype(float)
    return float(heights.agg(settings.statistic, skipna=False)) if len(heights) else float("nan")


def _selected(frames: Mapping[str, pd.DataFrame], settings: Settings, line: str) -> pd.DataFrame:
    barriers = frames["curve_barriers"]
    wanted = {"line": line, "measure": settings.of, "split": settings.split}
    return barriers[(barriers[list(wanted)] == pd.Series(wanted)).all(axis="columns")]
