"""Whether sharper models err more: Spearman's rank correlation over runs between sharpness and a result.

Positive: the sharper a run's model, the higher its error or its loss. Of an accuracy the error is meant.
Rays, which are long where it is flat, count with the opposite sign. Of a seed the runs are those of several
methods; runs of several data sets, models, ... are compared among their like, and the correlations averaged.
A correlation is no cause: methods differ in more than in sharpness, and a model that is sure of its answers
looks flat.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fedscape.fields import (
    Choose,
    Curvature,
    CurvatureData,
    CurvatureModel,
    MeasuredRound,
    Result,
    ResultRounds,
)
from fedscape.tables.comparison import settings_beside
from fedscape.tables.course import curvature_columns, ends, mean_curvature
from fedscape.tables.rank_correlation import RankCorrelation, rank_correlation

SOURCES = ("runs", "rounds", "curvature")
QUANTITY = "sharpness"
SEVERAL = True  # runs of one seed make one value


@dataclass(frozen=True)
class Settings:
    """Between which sharpness, of which models, and which result."""

    quantity: Curvature = "eigenvalue"  # eigenvalue: the largest one
    radius: float | None = None  # of a sharpness: one of the entry's for this measure
    at: MeasuredRound = "last"  # the last or the first measured round
    of: CurvatureModel = "global"  # clients: mean over the clients' models; mean: the mean of these
    data: CurvatureData = "global"  # own: on each client's own samples
    column: Result = "test_accuracy"  # of the global model; an accuracy counts as the error, 1 less it
    rounds: ResultRounds = "last"  # which of them; of the last fifth the mean
    # of a method with a grid, only the point that is best in this, mean over seeds; null: all points count
    choose: Choose = None

    def __post_init__(self):
        if (self.radius is None) != (self.quantity in ("eigenvalue", "trace")):
            needs = "needs a radius" if self.radius is None else "has no radius"
            raise ValueError(f"quantity {self.quantity} {needs}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean of the correlations; NaN if a run was not measured, or there are fewer than three."""
    found = _correlations(frames, settings)
    return sum(one.rho for one in found) / len(found) if found else float("nan")


def standard_error(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Over runs, of the longer half of each interval by Bonett & Wright; NaN for fewer than four."""
    found = _correlations(frames, settings)
    return math.hypot(*(one.standard_error for one in found)) / len(found) if found else float("nan")


def _correlations(frames: Mapping[str, pd.DataFrame], settings: Settings) -> list[RankCorrelation]:
    runs = ends(frames, settings.column, settings.rounds)
    columns = curvature_columns(settings.quantity, settings.radius)
    of_run = dict(list(frames["curvature"].groupby("run")))
    sharpness = [
        mean_curvature(of_run[run], columns, settings.of, settings.data, settings.at)
        if run in of_run
        else math.nan
        for run in runs["run"]
    ]
    sign = -1 if settings.quantity == "rays" else 1
    result = runs[settings.column].astype(float) * (-1 if settings.column.endswith("accuracy") else 1)
    table = runs.assign(sharpness=[sign * one for one in sharpness], result=result)
    if table[["sharpness", "result"]].isna().any(axis=None):
        return []
    beside = settings_beside(runs, "method")
    groups = table.groupby(beside) if beside else [(None, table)]
    return [
        rank_correlation(rows["sharpness"].to_numpy(float), rows["result"].to_numpy(float))
        for _, rows in groups
    ]
