"""Readers of results that may be cut off, damaged, a stranger's, or missing."""

import csv
import math
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from fedscape.regular import open_regular, read_regular

TAIL = 8192  # bytes at the end of a log or a table that are looked at
LINE = 300  # characters of a line of a log
LARGEST_COUNT = 2**63  # things that anybody counts


def count(value: object) -> int | None:
    """A whole number of things as it is, None for anything else."""
    return value if type(value) is int and 0 <= value <= LARGEST_COUNT else None


def numbers(row: Mapping[str, str], *columns: str) -> list[float] | None:
    """The finite numbers in some cells of a row of a CSV; None if one of them is no such number."""
    try:
        cells = [float(row[column]) for column in columns]
    except (KeyError, TypeError, ValueError):
        return None
    return cells if all(map(math.isfinite, cells)) else None


def last_rows(path: str | Path) -> list[dict[str, str]]:
    """The last whole rows of a CSV, however long it is."""
    try:
        with open_regular(path) as file:
            header = file.readline(TAIL)
            begin = max(len(header), file.seek(0, 2) - TAIL)
            file.seek(begin)
            text = file.read(TAIL)
    except OSError:
        return []
    lines = text.decode("utf-8", "replace").split("\n")[0 if begin == len(header) else 1 : -1]
    return list(_rows("\n".join([header.decode("utf-8", "replace").rstrip("\n"), *lines])))


def all_rows(path: str | Path) -> list[dict[str, str]]:
    """The rows of a CSV; none where it cannot be read."""
    try:
        return list(_rows(read_regular(path)))
    except (OSError, ValueError):
        return []


def last_lines(path: str | Path) -> list[str]:
    """The last lines of a log, without empty ones."""
    try:
        with open_regular(path) as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            lines = file.read(TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line.strip()[:LINE] for line in lines if line.strip()]


def _rows(text: str) -> Iterator[dict[str, str]]:
    """Rows that have as many cells as there are columns, up to one that is no CSV."""
    try:
        for row in csv.DictReader(StringIO(text, newline="")):
            if None not in row and None not in row.values():
                yield row
    except csv.Error:
        return
