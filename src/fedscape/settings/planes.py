"""How the surface of an entry of a study's section `planes` is evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass

from fedscape.settings.evaluation import BatchNorm, Precision

WHICH_POINTS = ("grid", "margin", "coarse", "error", "parts")
"""Settings of an entry that decide which points are evaluated, and not what their measures are."""


@dataclass(frozen=True)
class SurfaceSettings:
    """Which points of a plane are evaluated, and how."""

    grid: Sequence[int] = (21, 21)  # points along x and y
    margin: float = 0.3  # around the box of the markers, as a share of its larger side
    coarse: int = 1  # every k-th point along both axes is evaluated, the loss of others filled
    error: float | None = None  # relative one of the loss, within which it may be filled; None: `coarse`
    client_losses: bool = False  # also the measures of each client on its own samples
    precision: Precision = "fp32"
    batch_norm: BatchNorm = "keep"
