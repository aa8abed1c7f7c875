"""How sharp the end of a run is: an eigenvalue of the training loss's Hessian at its last measured round."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

SOURCES = ("hessian",)


@dataclass(frozen=True)
class Settings:
    """Which eigenvalue."""

    index: int = 1  # from the largest one, which is 1

    def __post_init__(self):
        if self.index < 1:
            raise ValueError(f"index must be >= 1, got {self.index}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one was not measured."""
    rows = frames["hessian"]
    found = [_of_run(run, settings.index) for _, run in rows.groupby("run")]
    return sum(found) / len(found) if found else float("nan")


def _of_run(rows: pd.DataFrame, index: int) -> float:
    last = rows[(rows["round"] == rows["round"].max()) & (rows["index"] == index)]
    return float(last["eigenvalue"].iloc[0]) if len(last) else float("nan")
