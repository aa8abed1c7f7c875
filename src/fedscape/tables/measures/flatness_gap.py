"""The flatness gap: how much sharper the mean of clients' models is than the models themselves.

With H a sharpness, H_k that on client k's own samples, w_k its model and w the mean of these (or the global
model, after the server's step), a difference, a ratio or the logarithm of a ratio of two of

    H_k(w_k)   clients own     H(w_k)   clients global     H_k(w)   mean own     H(w)   mean global

each a mean over the clients of the round. From H_k(w_k) to H(w) both the model and the samples change;
H_k(w) lies between: at the same w the largest eigenvalue of the mean loss is at most the mean of those of
the clients' losses, by sizes, but nothing bounds that at w by those at w_k. The means here count clients
alike, and only those that took part, so that bound need not hold between them. For rays, which are long
where it is flat, a negative difference means sharper.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fedscape.fields import Curvature, CurvatureData, MeasuredRound
from fedscape.tables.course import curvature_columns, mean_curvature

SOURCES = ("curvature",)
QUANTITY = "flatness_gap"


@dataclass(frozen=True)
class Settings:
    """The gap of what, and between which two."""

    quantity: Curvature = "eigenvalue"  # eigenvalue: the largest one
    radius: float | None = None  # of a sharpness: one of the entry's for this measure
    at: MeasuredRound = "last"  # the last or the first measured round
    of: Literal["mean", "global"] = "mean"  # global: after the server's step, on all clients' samples
    data: CurvatureData = "global"  # of that model; own: mean over those of each client
    clients: CurvatureData = "own"  # of the clients' models
    # of the mean's, minus or over the clients'; log-ratio: its natural logarithm, which averages over seeds
    form: Literal["difference", "ratio", "log-ratio"] = "difference"

    def __post_init__(self):
        if self.of == "global" and self.data == "own":
            raise ValueError("data must be global with of global; the mean is looked at on own samples, too")
        if (self.radius is None) != (self.quantity in ("eigenvalue", "trace")):
            needs = "needs a radius" if self.radius is None else "has no radius"
            raise ValueError(f"quantity {self.quantity} {needs}")


def value(frames: Mapping[str, pd.DataFrame], settings: Settings) -> float:
    """Of the means over the runs of the case; NaN if there is no run, or one was not measured."""
    columns = curvature_columns(settings.quantity, settings.radius)
    averaged = mean_curvature(frames["curvature"], columns, settings.of, settings.data, settings.at)
    clients = mean_curvature(frames["curvature"], columns, "clients", settings.clients, settings.at)
    if settings.form == "difference":
        return averaged - clients
    if not (clients > 0 and (averaged > 0 or settings.form == "ratio")):
        return float("nan")
    return averaged / clients if settings.form == "ratio" else math.log(averaged / clients)
