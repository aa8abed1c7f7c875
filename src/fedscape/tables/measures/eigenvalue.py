"""How sharp the loss is: an eigenvalue of the training loss's Hessian at a measured round of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fedscape.fields import CurvatureData, CurvatureModel, MeasuredRound
from fedscape.tables.course import mean_curvature

SOURCES = ("curvature",)
QUANTITY = "eigenvalue"


@dataclass(frozen=True)
class Settings:
    """Which eigenvalue, of which models."""

    index: int = 1  # from the largest one, which is 1; -1 is the smallest one
    at: MeasuredRound = "last"  # the last or the first measured round
    of: CurvatureModel = "global"  # clients: mean over the clients' models; mean: the mean of these
    data: CurvatureData = "global"  # own: each client's model on its own samples

    def __post_init__(self):
        if self.index == 0:
            raise ValueError("index must be 1 (the largest), 2, ... or -1 (the smallest), -2, ..., got 0")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one was not measured."""
    columns = {"quantity": "eigenvalue", "index": settings.index}
    return mean_curvature(frames["curvature"], columns, settings.of, settings.data, settings.at)
