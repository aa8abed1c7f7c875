"""Distance between two models, layer by layer or whole: L2, or the cosine of the angle between their weights.

Each layer's is the mean over all pairs of the case (runs, clients, seeds).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.tables.layers import at_last_rounds, cells, later_round

SOURCES = ("distances",)


@dataclass(frozen=True)
class Settings:
    """Which distance, of which part of the models."""

    # between the two models, or of either from its own start; a cosine of 1: the same direction
    column: Literal[
        "cosine", "cosine_from_start", "cosine_to_start", "l2", "l2_from_start", "l2_to_start"
    ] = "cosine"
    statistic: Literal["mean", "min", "max", "whole"] = (
        "mean"  # over layers; whole: all weights as one vector
    )
    rounds: Literal["last", "mean", "min", "max"] = "last"  # the last round there is, or over all rounds
    alignment: Literal["none", "weights"] = "none"  # weights: the second one's units matched to the first's


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the models of the case; NaN if there is none, or a pair was not measured."""
    distances = frames["distances"]
    whole = settings.statistic == "whole"
    kept = distances[(distances["alignment"] == settings.alignment) & ((distances["place"] < 0) == whole)]
    found = [_of_model(rows, settings) for _, rows in kept.groupby(["dataset", "model"])]
    return sum(found) / len(found) if found else float("nan")


def _of_model(rows: pd.DataFrame, settings: Settings) -> float:
    rows = rows.assign(at=later_round(rows))
    if settings.rounds == "last":
        rows = at_last_rounds(rows)
    grid = cells(rows, ["at", "place"], settings.column)
    over_layers = "mean" if settings.statistic == "whole" else settings.statistic
    found = grid.groupby("at")["mean"].agg(over_layers, skipna=False)
    return float(found.agg("mean" if settings.rounds == "last" else settings.rounds, skipna=False))
