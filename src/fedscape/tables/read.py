"""CSVs of one kind, one by one and as one table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns.connectivity import OTHER_END
from fedscape.columns.csvs import read_csv
from fedscape.columns.identity import IDENTITY
from fedscape.columns.kinds import FILES


def read_table(path: str | Path, kind: str) -> pd.DataFrame:
    """A CSV of a kind of `columns.kinds.FILES`; it may have more columns, which stay as pandas reads them.

    Raises FedscapeError if the file is not whole, lacks a column or holds a cell of another type.
    """
    file = FILES[kind]
    return read_csv(path, file.types, needed=file.columns, has_rows=file.has_rows, keys=file.keys)


def joined(paths: Sequence[str | Path], kind: str) -> pd.DataFrame:
    """All rows of files of a kind, in order; without files or rows, the header.

    Raises FedscapeError as `read_table` does.
    """
    frames = [frame for frame in (read_table(path, kind) for path in paths) if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=FILES[kind].columns)


def run_paths(frame: pd.DataFrame, prefix: str = "") -> pd.Series:
    """The run of each row, spelled as its folder: `digits/convnet/iid/random/fedavg/seed0`.

    frame: columns of IDENTITY. prefix: `to_` for the other end of a pair, which shares data set and model.
    """
    names = [f"{prefix}{name}" if name in OTHER_END else name for name in IDENTITY[2:]]
    first, *others, seed = (frame[name].astype(str) for name in names)
    return first.str.cat(pd.concat([*others, "seed" + seed], axis=1), sep="/")
