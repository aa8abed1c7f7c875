"""Barrier between final models: how far the line between two of them rises above the chord of its ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

SOURCES = ("barriers",)


@dataclass(frozen=True)
class Settings:
    """Which barrier, and how those of several pairs become one number."""

    height: Literal["sup", "midpoint"] = "sup"  # sup: the largest rise, >= 0; midpoint: that in the middle
    statistic: Literal["mean", "min", "max"] = "mean"  # over the pairs of the case
    of: Literal["loss", "error"] = "loss"  # loss: mean cross-entropy; error: share of wrong answers
    split: Literal["train", "test"] = "train"  # train: the data of all clients together


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """The statistic over pairs; NaN if there is none, or one was not measured."""
    barriers = frames["barriers"]
    chosen = barriers[(barriers["measure"] == settings.of) & (barriers["split"] == settings.split)]
    heights = chosen[settings.height].astype(float)
    return float(heights.agg(settings.statistic, skipna=False)) if len(heights) else float("nan")
