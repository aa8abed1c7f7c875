"""Columns of how far global models move."""

from fedscape.columns.column import L2, File
from fedscape.columns.identity import IDENTITY
from fedscape.columns.shared import Shared


class Drift:
    """`drift.csv`"""

    step_norm: L2
    distance_start: L2
    distance_end: L2
    """L2 distance of the global model from the round before (empty where that was not kept), from the start,
    from the end"""
    distance_to_reference: L2
    """L2 distance to the group's first run of the same seed: to its model after the same round (empty where
    that was not kept, or is of another network)"""


DRIFT_CSV = File(
    names=[*IDENTITY, "drift", "group"],
    row_keys=["round"],
    measures=["step_norm", "distance_start", "distance_end", "distance_to_reference"],
    families=(Shared, Drift),
    entry="drift",
)
