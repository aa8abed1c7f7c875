"""CSVs of a kind, whole, from frames that have the columns which a test is about."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns.cells import INDEX
from fedscape.columns.csvs import write_csv
from fedscape.columns.kinds import COLUMNS, FILES


def write_table(
    path: Path, frame: pd.DataFrame, kind: str, sort_by: Sequence[str] = (), without: Sequence[str] = ()
) -> Path:
    """Write a frame, but none of the columns that the file is to be `without`.

    Columns that it lacks are empty, and those that never are count its rows.
    """
    missing = [column for column in FILES[kind].columns if column not in frame]
    filled = {name: range(len(frame)) if COLUMNS[name].type == INDEX else None for name in missing}
    whole = frame.assign(**filled).drop(columns=list(without))
    write_csv(path, whole, sort_by or [frame.columns[0]])
    return path
