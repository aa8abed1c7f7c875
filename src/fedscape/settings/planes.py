"""How the surface of an entry of a study's section `planes` is evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass

from fedscape.settings.evaluation import BatchNorm, Compiled, Precision

WHICH_POINTS = ("grid", "margin", "coarse", "error", "parts")
"""Settings of an entry that decide which points are evaluated, and not what their measures are."""

EVALUATED_WITHIN = 0.12
"""Share of a surface's points that are evaluated where `error` fills the others, on a smooth plane."""


@dataclass(frozen=True)
class SurfaceSettings:
    """Which points of a plane are evaluated, and how."""

    grid: Sequence[int] = (21, 21)  # points along x and y
    margin: float = 0.3  # around the box of the markers, as a share of its larger side
    coarse: int = 1  # every k-th point along both axes is evaluated, the loss of others filled
    error: float | None = None  # relative one of the loss, within which it may be filled; None: `coarse`
    client_losses: bool = False  # also the measures of each client on its own samples
    precision: Precision = "fp32"
    compiled: Compiled = "auto"
    batch_norm: BatchNorm = "keep"

    @property
    def expected_points(self) -> float:
        """Points that are evaluated, about, before anything is known of the losses."""
        columns, rows = self.grid
        return columns * rows * (1 / self.coarse**2 if self.error is None else EVALUATED_WITHIN)
