"""How far clients' Hessians agree: H_N, the difference of their norms, or H_D, the cosine between them.

Mendieta et al. (Local Learning Matters, 2022, section 3.4), of the diagonals at the clients' models; means
over pairs of clients of a round.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.fields import CurvatureData, MeasuredRound
from fedscape.tables.course import mean_curvature

SOURCES = ("curvature",)
QUANTITY = "hessian_agreement"


@dataclass(frozen=True)
class Settings:
    """Which of the two, and by which definition."""

    quantity: Literal["H_N", "H_D"]  # H_N: lower agrees more; H_D: at most 1, higher agrees more
    # paper: an entry per parameter, squared norms; code: the authors', which published numbers are: a sum per
    # tensor, norms that are not squared, each client's pair with itself included
    definition: Literal["paper", "code"] = "paper"
    data: CurvatureData = "global"  # which samples: all clients' together, or each client's own
    at: MeasuredRound = "last"  # the last or the first measured round


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one was not measured."""
    columns = {"quantity": settings.quantity, "definition": settings.definition}
    return mean_curvature(frames["curvature"], columns, "hessian_agreement", settings.data, settings.at)
