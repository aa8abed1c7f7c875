"""The sum of all eigenvalues of the training loss's Hessian, its trace, at a measured round of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fedscape.fields import CurvatureData, CurvatureModel, MeasuredRound
from fedscape.tables.course import mean_curvature

SOURCES = ("curvature",)
QUANTITY = "trace"


@dataclass(frozen=True)
class Settings:
    """Of which models, and which part of them."""

    layer: str | None = None  # a module's name, such as `stages.0.0.conv1`; null: the whole network
    at: MeasuredRound = "last"  # the last or the first measured round
    of: CurvatureModel = "global"  # clients: mean over the clients' models; mean: the mean of these
    data: CurvatureData = "global"  # own: each client's model on its own samples


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one was not measured."""
    columns = {"quantity": "trace"}
    if settings.layer is not None:
        columns = {"quantity": "layer-trace", "layer": settings.layer}
    return mean_curvature(frames["curvature"], columns, settings.of, settings.data, settings.at)
