"""How many basins final models lie in, by the straight lines between each two of them.

Two models share a basin where the loss on the line between them stays at the level of the higher end: at most
a quarter higher. Near zero a quarter is nothing, so levels count from `offset` nats below it. Models that
others join are together: what is counted are groups. The lines hold the models themselves, which a plane
through the principal directions of four models does not; a path that bends might join what they part.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SOURCES = ("barriers",)


@dataclass(frozen=True)
class Settings:
    """What is the same level of the loss on all clients' data."""

    ratio: float = 1.25  # highest loss on the line over that of its higher end, at most
    offset: float = 0.1  # nats that are added to both

    def __post_init__(self):
        if self.ratio < 1:
            raise ValueError(f"ratio must be at least 1, got {self.ratio}")
        if self.offset < 0:
            raise ValueError(f"offset must be at least 0, got {self.offset}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """The number of groups; NaN if two models of the case have no line, or one was not measured."""
    barriers = frames["barriers"]
    lines = barriers[(barriers["measure"] == "loss") & (barriers["split"] == "train")]
    models = sorted({*lines["run"], *lines["to_run"]})
    pairs = {frozenset(pair) for pair in zip(lines["run"], lines["to_run"], strict=True)}
    levels = lines[["highest", "from_value", "to_value"]].astype(float)
    if not models or len(pairs) < len(models) * (len(models) - 1) / 2 or levels.isna().any(axis=None):
        return float("nan")
    higher_end = levels[["from_value", "to_value"]].max(axis=1)
    joined = lines[levels["highest"] + settings.offset <= settings.ratio * (higher_end + settings.offset)]
    ends = [[models.index(run) for run in joined[end]] for end in ("run", "to_run")]
    links = coo_array(([1] * len(joined), ends), shape=(len(models), len(models)))
    return float(connected_components(links, directed=False)[0])
