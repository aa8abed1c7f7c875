"""What one round changes. `own`: the clients' own loss, from the round's start to their ends. `global`: the
global loss over the same steps. `aggregate`: the global loss, from the clients' ends to their average.

Below 0 is better. These are losses of the models themselves, not of their places on the plane.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

SOURCES = ("markers",)
CLIENTS = True  # the clients of one round, which no other plane marks


@dataclass(frozen=True)
class Settings:
    """Which change."""

    statistic: Literal["own", "global", "aggregate"]  # which of the three


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one was not measured."""
    markers = frames["markers"]
    values = [change(run, settings.statistic) for _, run in markers.groupby("run")]
    return sum(values) / len(values) if values else float("nan")


def change(run: pd.DataFrame, kind: str) -> float:
    """The change in one round of one run, from its markers: mean over clients, each counted alike."""
    by_role = {str(role): rows for role, rows in run.groupby("role")}
    clients = by_role.get("client")
    if clients is None:
        return float("nan")
    if kind == "own":
        # A client that has none of the samples that losses are measured on has no loss of its own.
        own = clients.dropna(subset=["own_loss_at_start"])
        return float((own["own_loss"] - own["own_loss_at_start"]).mean(skipna=False))
    other = by_role.get("start" if kind == "global" else "aggregate")
    if other is None:
        return float("nan")
    ends = float(clients["loss"].mean(skipna=False))
    reference = float(other["loss"].iloc[0])
    return ends - reference if kind == "global" else reference - ends
