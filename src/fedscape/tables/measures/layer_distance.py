"""Distance between two models, layer by layer or whole: L2, or the cosine of the angle between their weights.

Each layer's is the mean over all pairs of the case (runs, clients, seeds). `shallow-to-deep` is the mean over
the shallow third of the layers, over that of the deep third; of a cosine, of how much is missing to 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.tables.layers import at_last_rounds, cells, later_round

SOURCES = ("distances",)

THIRD = 0.34  # of the depth, from 0 to 1, at either end


@dataclass(frozen=True)
class Settings:
    """Which distance, of which part of the models."""

    # between the two models, or of either from its own start; a cosine of 1: the same direction
    column: Literal[
        "cosine", "cosine_from_start", "cosine_to_start", "l2", "l2_from_start", "l2_to_start"
    ] = "cosine"
    # over layers; whole: all weights as one vector; shallow-to-deep: see above
    statistic: Literal["mean", "min", "max", "whole", "shallow-to-deep"] = "mean"
    rounds: Literal["last", "mean", "min", "max"] = "last"  # the last round there is, or over all rounds
    alignment: Literal["none", "weights"] = "none"  # weights: the second one's units matched to the first's


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the models of the case; NaN if there is none, or a pair was not measured."""
    distances = frames["distances"]
    whole = settings.statistic == "whole"
    kept = distances[(distances["alignment"] == settings.alignment) & ((distances["depth"] < 0) == whole)]
    values = [_of_model(rows, settings) for _, rows in kept.groupby(["dataset", "model"])]
    return sum(values) / len(values) if values else float("nan")


def _of_model(rows: pd.DataFrame, settings: Settings) -> float:
    rows = rows.assign(at=later_round(rows))
    if settings.rounds == "last":
        rows = at_last_rounds(rows)
    grid = cells(rows, ["at", "depth"], settings.column)
    by_round = grid.groupby("at")[["depth", "mean"]].apply(_statistic, settings)
    return float(by_round.agg("mean" if settings.rounds == "last" else settings.rounds, skipna=False))


def _statistic(grid: pd.DataFrame, settings: Settings) -> float:
    """Of the layers of one round; columns depth, mean."""
    if settings.statistic != "shallow-to-deep":
        over_layers = "mean" if settings.statistic == "whole" else settings.statistic
        return float(grid["mean"].agg(over_layers, skipna=False))
    apart = 1 - grid["mean"] if settings.column.startswith("cosine") else grid["mean"]
    depth = grid["depth"] / max(grid["depth"].max(), 1)
    shallow, deep = (apart[third].mean(skipna=False) for third in (depth <= THIRD, depth >= 1 - THIRD))
    return float(shallow / deep) if deep > 0 else float("nan")
