"""Files that are either whole or not there: temporary name, fsync, rename."""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fedscape.errors import FedscapeError, reason

if TYPE_CHECKING:
    import pandas as pd

# Columns that hold names: `0.1` or `1e3` there is text.
_NAMES = (
    *("study", "scale", "dataset", "model", "partition", "init", "method", "group", "class_name"),
    *("to_partition", "to_init", "to_method", "plane", "connectivity", "curvature", "drift", "layer"),
    "definition",
)
# Other columns of stages that hold words, or true and false; all the rest hold numbers.
_WORDS = (
    *("split", "measure", "regime", "rest", "between", "alignment", "of", "data", "quantity", "estimator"),
    *("batch_norm", "axes", "role", "precision", "interpolated", "diverged", "chosen_on", "grid"),
    *("run", "to_run", "stage", "name", "part"),
    *("seed", "to_seed"),  # `*` where a row stands for several
)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there if the block ends well, remove it if not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_rests(path: str | Path) -> None:
    """Remove what killed processes have left of writing `path`; for somebody who alone may write it."""
    path = Path(path)
    for rest in path.parent.glob(f".{path.name}.*.tmp"):
        rest.unlink(missing_ok=True)


@contextmanager
def reading(path: str | Path, what: str, mend: str = "delete the file to make it again") -> Iterator[None]:
    """Name the file whose content a block cannot make sense of, whatever a parser raises over it.

    what: what the file should hold. mend: what to do about it. Wrap nothing but reading: the errors of a
    slip in our own code would be taken for the file's.
    """
    try:
        yield
    except FedscapeError:
        raise
    except Exception as error:
        raise FedscapeError(f"{path}: not a whole {what} ({reason(error)}); {mend}") from error


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with LF line ends, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: object) -> None:
    """Write indented JSON, atomically; keys keep their order."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> dict:
    """Read a JSON object; a file that is cut off, no JSON or another value is named."""
    with reading(path, "JSON object"):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"found {type(content).__name__}")
        return content


def csv_text(frame: "pd.DataFrame", header: bool = True) -> str:
    """CSV as every file of fedscape has it: `%.9g`, LF, booleans as true/false, no index."""
    frame = frame.copy()
    for column in frame.select_dtypes("bool"):
        frame[column] = frame[column].map({True: "true", False: "false"})
    return frame.to_csv(index=False, header=header, float_format="%.9g", lineterminator="\n")


def write_csv(path: str | Path, frame: "pd.DataFrame", sort_by: Sequence[str]) -> None:
    """Write a tidy CSV atomically, rows sorted by `sort_by`: same content, same bytes."""
    write_text(path, csv_text(frame.sort_values(list(sort_by), kind="stable")))


def read_csv(path: str | Path) -> "pd.DataFrame":
    """Read one of our CSVs; names such as `0.1` in identifying columns stay text."""
    import pandas as pd  # takes longer than all that `fedscape status` does

    with reading(path, "CSV"):
        text = Path(path).read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("cut off")
        # pandas takes the first cell of rows that are too long for an index, and fills up those too short.
        lengths = sorted({len(row) for row in csv.reader(io.StringIO(text))})
        if len(lengths) > 1:
            raise ValueError(f"rows of {lengths[0]} and of {lengths[-1]} cells")
        # Only an empty cell is missing: a class may be called `NA`, a partition `null`.
        names = dict.fromkeys(_NAMES, "string")
        return pd.read_csv(io.StringIO(text), dtype=names, keep_default_na=False, na_values=[""])


def read_measures(path: str | Path) -> "pd.DataFrame":
    """Read a CSV that a stage wrote for others; text where it holds numbers is named."""
    import pandas as pd

    frame = read_csv(path)
    with reading(path, "CSV"):
        for column in frame.columns.difference([*_NAMES, *_WORDS]):
            cells = frame[column].dropna().astype(str)
            if not pd.api.types.is_numeric_dtype(frame[column]) and len(cells):
                wrong = cells[pd.to_numeric(cells, errors="coerce").isna()]
                raise ValueError(f"column {column}: '{wrong.iloc[0]}' is no number")
    return frame
