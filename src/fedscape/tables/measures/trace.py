"""The sum of all eigenvalues of the training loss's Hessian, its trace, at a measured round of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.tables.course import mean_curvature

SOURCES = ("curvature",)
QUANTITY = "trace"


@dataclass(frozen=True)
class Settings:
    """Of which models, and which part of them."""

    layer: str | None = None  # a module's name, such as `stages.0.0.conv1`; null: the whole network
    at: Literal["last", "first"] = "last"  # the last or the first measured round
    of: Literal["global", "clients"] = "global"  # clients: mean over the clients' models
    data: Literal["global", "own"] = "global"  # own: each client's model on its own samples


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one was not measured."""
    wanted = {"quantity": "trace"}
    if settings.layer is not None:
        wanted = {"quantity": "layer-trace", "layer": settings.layer}
    return mean_curvature(frames["curvature"], wanted, settings.of, settings.data, settings.at)
