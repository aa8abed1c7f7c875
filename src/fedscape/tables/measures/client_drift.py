"""How far clients drift apart: the share of their updates, by squared length, that cancels in the mean.

Of a round whose n clients end at d_i from the global model, with mean d:

    1 - ||d||^2 / mean_i ||d_i||^2  =  r^2 / (1 + r^2),    r^2 = mean_i ||d_i - d||^2 / ||d||^2,

so r is how far the clients' ends part (root mean square), relative to the length of their mean update. The
share orders rounds as r does, but is bounded, where r grows without limit as updates cancel: it is 0 if all
are equal, 1 - 1/n if they are orthogonal and equally long, 1 if nothing is left of them. The length of a
client's way alone does not change it, as it does the distance between ends. The mean over a run's rounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

SOURCES = ("rounds",)


@dataclass(frozen=True)
class Settings:
    """The measure has no settings."""


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Mean over the runs of the case; NaN if there is none, or one has no round with updates."""
    values = [_of_run(run) for _, run in frames["rounds"].groupby("run")]
    return sum(values) / len(values) if values else float("nan")


def _of_run(rounds: pd.DataFrame) -> float:
    # 1 / diversity = ||sum d_i||^2 / sum ||d_i||^2, which is n times what stays.
    stays = rounds["inverse_gradient_diversity"].astype(float) / rounds["clients"].astype(float)
    return float(1 - stays.mean())
