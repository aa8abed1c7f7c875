"""Barrier between two models of which only some layers are averaged. The `column` looked at is, of such a
mixture: `barrier`, above the mean of both ends; `share`, that over the full barrier; `ratio`, that over the
mean of both ends; `rise`, above the better end; `value`, its own; `ends`, the mean of both ends. It is taken
on what a heat map shows: means over the pairs of the case (runs, clients, seeds), by layer, round and `rest`.
Of these layers, `averageable` are the share whose column is at most the `threshold`; of layers that add up,
only those before the first that is not, and `reach` is the same in fractions of a layer, with a straight line
from one to the next; `lowest-step` is the least that adding a layer changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from fedscape.columns.connectivity import RESTS
from fedscape.fields import LossOrError, Split
from fedscape.tables.layers import SINGLE, at_last_rounds, cells, later_round, of_rests

SOURCES = ("layers",)

EDGE = 1e-9  # by which a share of the layers may miss the edge of a range, from rounding


@dataclass(frozen=True)
class Settings:
    """Which mixtures, what is looked at, and how many numbers become one."""

    # full: all layers; single: one at a time; direction: one, moved at random; others: added up in this order
    regime: Literal[
        "full", "single", "direction", "shallow", "deep", "random", "middle-out", "outside-in"
    ] = "full"
    of: LossOrError = "loss"  # loss: mean cross-entropy; error: share of wrong answers
    split: Split = "train"  # train: the data of all clients together
    column: Literal["barrier", "share", "ratio", "rise", "value", "ends"] = "barrier"  # see above
    # [first, last]: single layers' depth, 0 to 1 (the deepest); else the share of layers averaged; null: any
    layers: list[float] | None = None
    # over layers and rests of a round; the last three: see above
    statistic: Literal["mean", "min", "max", "averageable", "reach", "lowest-step"] = "mean"
    threshold: float = 0.1  # of averageable and reach, in the unit of the column
    # the end that the layers come from that are not averaged; mean: the mean of both, as heat maps show it
    rest: Literal["both", "from", "to", "mean"] = "both"
    rounds: Literal["last", "mean", "min", "max"] = "last"  # the last round there is, or over all rounds
    since: int = 0  # the first round that counts; 1: not the start, where two models may be the same
    # of a share: rounds whose full average raises the error by no more are left out too; null: none of them
    least_error: float | None = None
    # models whose mean error is higher at the last round have learned nothing: not measured; null: any
    learned_error: float | None = None
    # repair: the full average with its activations' statistics repaired; weights: units matched first
    alignment: Literal["none", "repair", "weights", "weights-repair"] = "none"

    def __post_init__(self):
        if self.layers is not None and (
            len(self.layers) != 2 or not 0 <= self.layers[0] <= self.layers[1] <= 1
        ):
            raise ValueError(f"layers must be [first, last], ascending from 0 to 1, got {self.layers}")
        single = self.regime in ("full", "single", "direction")
        if single and self.statistic in ("reach", "lowest-step"):
            raise ValueError(f"statistic {self.statistic} needs layers that add up, not regime {self.regime}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the models of the case; NaN if there is none, or a pair was not measured.

    Of a share, rounds without a full barrier are left out: a share of nothing says nothing.
    """
    layers = frames["layers"]
    kept = layers[(layers["split"] == settings.split) & (layers["alignment"] == settings.alignment)]
    values = [_of_model(rows, settings) for _, rows in kept.groupby(["dataset", "model"])]
    return sum(values) / len(values) if values else float("nan")


def _of_model(rows: pd.DataFrame, settings: Settings) -> float:
    rows = _with_columns(rows)
    rows = rows[rows["at"] >= settings.since]
    if settings.learned_error is not None and not _learned(rows, settings.learned_error):
        return float("nan")
    if settings.rounds == "last":
        rows = at_last_rounds(rows)
    of_regime = rows[(rows["regime"] == settings.regime) & (rows["measure"] == settings.of)]
    kept = of_rests(of_regime, [settings.rest] if settings.rest in RESTS else RESTS)
    if settings.rest == "mean":
        kept = kept.assign(rest="mean")
    column = "barrier" if settings.column == "share" else settings.column
    grid = cells(kept, ["at", "rest", "layers"], column)
    if settings.column == "share":
        full = _full(rows, settings.of, "barrier")
        grid = grid.assign(mean=grid["mean"] / grid["at"].map(full))
        none = set(full.index[full <= 0])
        if settings.least_error is not None:
            errors = _full(rows, "error", "barrier")
            none |= set(errors.index[errors <= settings.least_error])
        grid = grid[~grid["at"].isin(none)]
    first, last = settings.layers or (0, 1)
    grid = grid[grid["layers"].between(first - EDGE, last + EDGE)]
    by_round = pd.Series(
        [_statistic(cells_of_round, settings) for _, cells_of_round in grid.groupby("at")], dtype=float
    )
    over = "mean" if settings.rounds == "last" else settings.rounds
    return float(by_round.agg(over, skipna=False)) if len(by_round) else float("nan")


def _full(rows: pd.DataFrame, measure: str, column: str) -> pd.Series:
    """A column of the full average, by round."""
    whole = rows[(rows["regime"] == "full") & (rows["measure"] == measure)]
    return cells(whole, ["at"], column).set_index("at")["mean"]


def _learned(rows: pd.DataFrame, most: float) -> bool:
    ends = _full(at_last_rounds(rows), "error", "ends")
    return bool((ends <= most).all()) and len(ends) > 0


def _with_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """With the columns of the settings; `at`, the later round; and `layers`, depth or share of layers."""
    ends = rows[["from_value", "to_value"]]
    # Depths count from 0, and a cumulation ends with all layers.
    count = max(rows["depth"].max() + 1, rows["averaged"].max())
    depth, share = rows["depth"] / max(count - 1, 1), rows["averaged"] / count
    return rows.assign(
        at=later_round(rows),
        ends=ends.mean(axis=1, skipna=False),
        rise=rows["value"] - ends.min(axis=1, skipna=False),
        layers=depth.where(rows["regime"].isin(SINGLE), share),
    )


def _statistic(grid: pd.DataFrame, settings: Settings) -> float:
    """Of the cells of one round; columns rest, layers, mean."""
    if grid["mean"].isna().any():
        return float("nan")
    if settings.statistic == "averageable":
        fits = grid.groupby("layers")["mean"].max() <= settings.threshold
        return float(fits.mean() if settings.regime in SINGLE else np.cumprod(fits).mean())
    if settings.statistic == "reach":
        return _reach(grid.groupby("layers")["mean"].max(), settings.threshold)
    if settings.statistic == "lowest-step":
        return float(grid.sort_values("layers").groupby("rest")["mean"].diff().min())
    return float(grid["mean"].agg(settings.statistic))


def _reach(by_share: pd.Series, threshold: float) -> float:
    """Where the line from 0 through the heights, by share of the layers, first goes above the threshold."""
    shares, heights = [0.0, *by_share.index], [0.0, *by_share]
    above = next((k for k, height in enumerate(heights) if height > threshold), None)
    if above is None:
        return float(shares[-1])
    if above == 0:
        return 0.0
    part = (threshold - heights[above - 1]) / (heights[above] - heights[above - 1])
    return float(shares[above - 1] + part * (shares[above] - shares[above - 1]))
