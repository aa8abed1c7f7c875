"""Many CSVs of one kind as one table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fedscape.errors import FedscapeError
from fedscape.files import read_measures


def joined(paths: Sequence[str | Path], columns: Sequence[str]) -> pd.DataFrame:
    """All rows of the files, in order; without files or rows, the header `columns`.

    Raises FedscapeError if a file is not whole or lacks one of the columns; it may have more.
    """
    frames = []
    for path in paths:
        frame = read_measures(path)
        missing = [column for column in columns if column not in frame]
        if missing:
            raise FedscapeError(f"{path}: column {missing[0]} is missing; delete the file to make it again")
        if len(frame):
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns))
