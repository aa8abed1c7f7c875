"""How much the training loss rises around a model, at a measured round of a run.

The measures of `docs/sharpness.md`, each at one of the radii that the entry of `curvature` has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.fields import CurvatureData, CurvatureModel, MeasuredRound
from fedscape.tables.course import mean_curvature

SOURCES = ("curvature",)
QUANTITY = "sharpness"


@dataclass(frozen=True)
class Settings:
    """Which measure, of which models."""

    # worst, average, adaptive or not: rise in nats; rays: lengths of the filters
    quantity: Literal["worst", "average", "adaptive-worst", "adaptive-average", "rays"]
    radius: float  # one of the entry's for this measure; of rays the rise, in nats
    at: MeasuredRound = "last"  # the last or the first measured round
    of: CurvatureModel = "global"  # clients: mean over the clients' models; mean: the mean of these
    data: CurvatureData = "global"  # own: on each client's own samples


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one was not measured."""
    columns = {"quantity": settings.quantity, "radius": settings.radius}
    return mean_curvature(frames["curvature"], columns, settings.of, settings.data, settings.at)
