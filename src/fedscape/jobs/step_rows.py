"""Rows of a CSV that is computed in steps: each step's in a file of its own, joined when all are done."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns.column import File
from fedscape.columns.csvs import csv_text, read_csv, write_csv
from fedscape.files import write_text


def write_step(folder: Path, number: int, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Keep the rows of step `number` in a resume folder, where `ResumeFolder.steps` commits them."""
    if rows:
        write_text(folder / f"{number}-{name}", csv_text(pd.DataFrame(rows)))


def join_steps(
    folder: Path,
    name: str,
    file: File,
    sort_by: Sequence[str] | None = None,
    more: Sequence[Mapping[str, object]] = (),
) -> None:
    """Write the rows of all steps as the file `name` of the folder, sorted; ties stay in the steps' order.

    file: its columns. sort_by: columns that rows are sorted by, if not in the file's own order. more: further
    rows, that no step has measured.
    """
    paths = sorted(folder.glob(f"*-{name}"), key=lambda path: int(path.name.partition("-")[0]))
    parts = [read_csv(path, file.types) for path in paths]
    table = pd.concat([*parts, *([pd.DataFrame(more)] if more else [])]) if parts or more else pd.DataFrame()
    write_csv(folder / name, table.reindex(columns=file.columns), file.order if sort_by is None else sort_by)
