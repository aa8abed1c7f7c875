"""CSVs that are written whole and read with care: their text, their end, the types of their cells."""

import csv
import io
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedscape.columns.cells import FLAG, INDEX, SEED, TEXT, WHOLE
from fedscape.errors import FedscapeError
from fedscape.files import reading, write_text

if TYPE_CHECKING:
    import pandas as pd

CSV_END = "\n"  # an empty last line: without it, a file that was cut off at a line's end would seem whole


def csv_rows(frame: "pd.DataFrame", header: bool = True) -> str:
    """Rows as every CSV of fedscape has them: `%.9g`, LF, booleans as true/false, no index."""
    frame = frame.copy()
    for column in frame.select_dtypes("bool"):
        frame[column] = frame[column].map({True: "true", False: "false"})
    return frame.to_csv(index=False, header=header, float_format="%.9g", lineterminator="\n")


def csv_text(frame: "pd.DataFrame") -> str:
    """A whole CSV, closed by an empty line, which every reader of CSVs skips."""
    return csv_rows(frame) + CSV_END


def write_csv(path: str | Path, frame: "pd.DataFrame", sort_by: Sequence[str]) -> None:
    """Write a tidy CSV atomically, rows sorted by `sort_by`: same content, same bytes."""
    write_text(path, csv_text(frame.sort_values(list(sort_by), kind="stable")))


def read_csv(
    path: str | Path,
    types: Mapping[str, str] | None = None,
    needed: Collection[str] = (),
    has_rows: bool = False,
    keys: Sequence[str] = (),
) -> "pd.DataFrame":
    """Read one of our CSVs; damage is named, such as a missing end, a row twice or text among numbers.

    types: of columns; the others may hold anything. needed: columns that must be there, `keys` among them,
    which tell rows apart (without them, all columns do). has_rows: whether a file without rows is damaged.
    """
    import pandas as pd  # takes longer than all that `fedscape status` does

    types = types or {}
    with reading(path, "CSV"):
        text = Path(path).read_text(encoding="utf-8")
        if not text.endswith("\n" + CSV_END):
            raise ValueError("cut off")
        if "\0" in text:
            raise ValueError("NUL bytes in it")
        text = text.removesuffix(CSV_END)
        # pandas takes the first cell of rows that are too long for an index, and fills up those too short.
        header, *rows = [*csv.reader(io.StringIO(text))] or [[]]
        lengths = sorted({len(row) for row in (header, *rows)})
        if len(lengths) > 1:
            raise ValueError(f"rows of {lengths[0]} and of {lengths[-1]} cells")
        if twice := [name for name in header if header.count(name) > 1]:
            raise ValueError(f"column {twice[0]} stands there twice")
        # Only an empty cell is missing: a class may be called `NA`, a partition `null`.
        names = {name: "string" for name, type_ in types.items() if type_ == TEXT}
        frame = pd.read_csv(io.StringIO(text), dtype=names, keep_default_na=False, na_values=[""])
        if missing := [name for name in needed if name not in frame]:
            raise FedscapeError(f"{path}: column {missing[0]} is missing; delete the file to have it rebuilt")
        if has_rows and frame.empty:
            raise ValueError("no rows")
        if frame.duplicated([*keys] or None).any():
            raise ValueError("a row stands there twice")
        for name, type_ in types.items():
            if name in frame:
                _check_cells(name, [row[header.index(name)] for row in rows], type_)
    return frame


def _check_cells(name: str, texts: Sequence[str], type_: str) -> None:
    """Raise ValueError at the first cell of a column, as it stands in the file, that is not of its type."""
    import pandas as pd

    cells = pd.Series(texts, dtype="object")
    if type_ == TEXT:
        return
    if type_ == FLAG:
        right, what = cells.str.lower().isin(["true", "false"]), "neither true nor false"
    else:
        # pandas takes `nan` and `1e999` for numbers; what is not finite has one spelling each in our files.
        numbers = pd.to_numeric(cells, errors="coerce")
        right, what = numbers.abs().lt(math.inf), "no number"
        if type_ in (WHOLE, INDEX):
            right, what = right & (numbers % 1 == 0), "no whole number"
        else:
            right |= cells.isin(["inf", "-inf"])
        if type_ == SEED:
            right |= cells == "*"
    wrong = cells[~right & ((cells != "") | (type_ == INDEX))]
    if len(wrong):
        raise ValueError(f"column {name}: '{wrong.iloc[0]}' is {what}")
