"""CSVs of a kind, whole, from frames that have the columns which a test is about."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns import FILES
from fedscape.files import write_csv


def write_table(
    path: Path, frame: pd.DataFrame, kind: str, sort_by: Sequence[str] = (), without: Sequence[str] = ()
) -> Path:
    """Write a frame, the columns that it lacks empty, but none of those that the file is to be `without`."""
    missing = [column for column in FILES[kind].columns if column not in frame]
    whole = frame.assign(**dict.fromkeys(missing)).drop(columns=list(without))
    write_csv(path, whole, sort_by or [frame.columns[0]])
    return path
