"""Barrier between final models: how far the line between two of them rises above the chord of its ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.fields import LossOrError, Split

SOURCES = ("barriers",)


@dataclass(frozen=True)
class Settings:
    """Which barrier, and how those of several pairs become one number."""

    height: Literal["sup", "midpoint"] = "sup"  # sup: the largest rise, >= 0; midpoint: that in the middle
    statistic: Literal["mean", "min", "max"] = "mean"  # over the pairs of the case
    of: LossOrError = "loss"  # loss: mean cross-entropy; error: share of wrong answers
    split: Split = "train"  # train: the data of all clients together


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """The statistic over pairs; NaN if there is none, or one was not measured."""
    heights = _selected(frames, settings)[settings.height].astype(float)
    return float(heights.agg(settings.statistic, skipna=False)) if len(heights) else float("nan")


def standard_error(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Standard error over the samples, 0 where all were evaluated; of the pair that is the least or greatest.

    Of a mean the mean of them: pairs share their samples, so their errors may all go the same way.
    """
    barriers = _selected(frames, settings)
    errors, heights = (
        barriers[column].astype(float) for column in (f"{settings.height}_se", settings.height)
    )
    if not len(barriers) or heights.isna().any():
        return float("nan")
    if settings.statistic == "mean":
        return float(errors.mean(skipna=False))
    return float(errors.iloc[heights.argmin() if settings.statistic == "min" else heights.argmax()])


def _selected(frames: Mapping[str, pd.DataFrame], settings: Settings) -> pd.DataFrame:
    barriers = frames["barriers"]
    return barriers[(barriers["measure"] == settings.of) & (barriers["split"] == settings.split)]
