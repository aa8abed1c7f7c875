"""Files that are either whole or not there: temporary name, fsync, rename."""

import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fedscape.errors import FedscapeError

if TYPE_CHECKING:
    import pandas as pd

# Columns that hold names: `0.1` or `1e3` there is text.
_NAMES = (
    *("study", "scale", "dataset", "model", "partition", "init", "method", "group", "class_name"),
    *("to_partition", "to_init", "to_method", "plane", "connectivity", "curvature", "drift", "layer"),
    "definition",
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


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with LF line ends, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: object) -> None:
    """Write indented JSON, atomically; keys keep their order."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> dict:
    """Read JSON; a file that is cut off or no JSON is named."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise FedscapeError(f"{path}: not valid JSON ({error}); delete the file to make it again") from error


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

    text = Path(path).read_text(encoding="utf-8")
    if not text.endswith("\n"):
        raise FedscapeError(f"{path}: cut off; delete the file to make it again")
    try:
        # Only an empty cell is missing: a class may be called `NA`, a partition `null`.
        names = dict.fromkeys(_NAMES, "string")
        return pd.read_csv(io.StringIO(text), dtype=names, keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise FedscapeError(f"{path}: not a whole CSV ({error}); delete the file to make it again") from error
