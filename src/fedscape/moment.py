"""A round as a study names it. Not in `fields.py`, since jobs that train and analyse depend on it."""

from typing import Literal

Moment = int | float | Literal["last"]
"""A round: its number, a share of all rounds, or the last one."""
