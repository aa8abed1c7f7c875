"""One table of the paper: our numbers with an interval over seeds, its numbers beside, and a page to read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fedscape.columns.csvs import write_csv
from fedscape.columns.tables import TABLE_CSV
from fedscape.files import write_text
from fedscape.settings.claims import Case
from fedscape.settings.tables import PaperTable, TableColumn
from fedscape.tables.cases import NOT_MEASURED, NOT_RUN_HERE, measure_words, measured, read_frames
from fedscape.tables.estimate import BOOTSTRAP, STUDENT, Estimate, estimate, ranked
from fedscape.tables.markdown import escaped, markdown_table

PERCENT = "%"  # in the column `unit`
PUBLISHED = "paper"  # head of a column of published numbers
INTERVALS = {
    STUDENT: "± half-width of its 95 % interval (Student's t)",
    BOOTSTRAP: "[ends of its 95 % interval, by the percentile bootstrap over seeds]",
}
RATIO_DECIMALS = 2  # of a published number over another
MOST_DECIMALS, LARGEST = 6, 1e6  # of a number that is written without a power of ten
Values = Mapping[int, float | str]
"""Of a cell by seed: numbers, or words in their place."""


@dataclass(frozen=True)
class Cell:
    """A number of ours and the paper's beside it; where a column is relative to a row, both are."""

    ours: Estimate
    published: float | None = None


def make_table(
    *,
    name: str,
    table: PaperTable,
    csvs: Mapping[str, Sequence[str | Path]],
    study: str,
    scale: str,
    out_csv: str | Path,
    out_page: str | Path,
) -> None:
    """Write one row per cell as CSV, and the table to read in Markdown.

    csvs: by the names that measures have for them: `runs` (tables/runs.csv) and whatever the columns'
    measures read (`rounds`: tables/rounds.csv; `timing`: timing.csv of every run; the others: of all groups
    that the cells name). Raises FedscapeError if a file is not whole or lacks a column.
    """
    frames = read_frames(csvs)
    values = [
        [_values(frames, column, cell) for column, cell in zip(table.columns, row, strict=True)]
        for row in table.cells
    ]
    cells = _cells(table, values)
    rows = [
        {
            "study": study,
            "scale": scale,
            "table": name,
            "row": label,
            "column": column.label,
            "measure": column_words(column),
            "unit": PERCENT if column.percent else "",
            "mean": cell.ours.mean,
            "half_width": cell.ours.half_width,
            "low": cell.ours.low,
            "high": cell.ours.high,
            "interval": cell.ours.interval,
            "seeds": cell.ours.seeds,
            "diverged_seeds": cell.ours.diverged,
            "published": cell.published,
            "source": table.source,
            "note": cell.ours.note,
        }
        for label, row in zip(table.rows, cells, strict=True)
        for column, cell in zip(table.columns, row, strict=True)
    ]
    frame = pd.DataFrame(rows).assign(number=range(1, len(rows) + 1))
    write_csv(out_csv, frame[TABLE_CSV.columns], sort_by=["number"])
    write_text(out_page, table_page(table, cells, study, scale))


def column_words(column: TableColumn) -> str:
    """What a column measures, to read; empty if it has published numbers only."""
    if column.measure is None:
        return ""
    words = measure_words(column, column.measure)
    if column.rank:
        return f"rank by {words}, 1: {column.rank}"
    return words + (f", over that of {column.over}" if column.over else "")


def table_page(table: PaperTable, cells: Sequence[Sequence[Cell]], study: str, scale: str) -> str:
    """Markdown text. cells: [rows][columns]."""
    left_out = not_run(table.rows, cells)
    shown = [label for label in table.rows if label not in left_out]
    cells = [row for label, row in zip(table.rows, cells, strict=True) if label in shown]
    heads, printed = [], []
    for j, column in enumerate(table.columns):
        own, published = [row[j].ours for row in cells], [row[j].published for row in cells]
        ours = None if column.measure is None else [estimate_words(cell, column.percent) for cell in own]
        theirs = published_words(published, RATIO_DECIMALS if column.over else None)
        for head, texts in side_by_side(column.label, ours, theirs):
            heads.append(head)
            printed.append(texts)
    lines = [[label, *(texts[i] for texts in printed)] for i, label in enumerate(shown)]
    source = f"{table.source}: " if table.source else ""
    parts = [
        f"# {escaped(source + table.title)}",
        f"study {study}, scale {scale}",
        markdown_table(["", *heads], lines, texts=1),
        escaped(not_run_words(left_out)),
        seed_words([cell.ours for row in cells for cell in row]),
        _measure_words(table.columns),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def estimate_words(estimate: Estimate, percent: bool) -> str:
    """`52.9 ± 0.4` or `52.9 [52.4, 53.2]`, and what is left out of it; or the word why there is none."""
    if estimate.mean is None:
        return estimate.note
    decimals = 1 if percent else None
    if estimate.half_width is not None:
        numbers = estimate.mean, estimate.half_width
        text = " ± ".join(_rounded(numbers, 1 if percent else _decimals(estimate.half_width)))
    elif estimate.low is not None and estimate.high is not None:
        mean, *ends = _rounded((estimate.mean, estimate.low, estimate.high), decimals)
        text = f"{mean} [{', '.join(ends)}]"
    else:
        (text,) = _rounded((estimate.mean,), decimals)
    return text + (f" ({estimate.diverged} diverged)" if estimate.diverged else "")


def _decimals(half_width: float) -> int | None:
    """Decimals that leave an interval's half-width two digits, and its mean as much; -1: tens."""
    return 1 - math.floor(math.log10(half_width)) if half_width > 0 else None


def _rounded(numbers: Sequence[float], decimals: int | None) -> list[str]:
    """Numbers to read; to four digits each without decimals, or with more than anybody reads."""
    if decimals is None or decimals > MOST_DECIMALS or max(map(abs, numbers)) >= LARGEST:
        return [f"{number:.4g}" for number in numbers]
    return [f"{round(number, decimals):z.{max(decimals, 0)}f}" for number in numbers]


def not_run(labels: Sequence[str], cells: Sequence[Sequence[Cell]]) -> list[str]:
    """The rows of which nothing was run here or is published; none where that is all of them."""
    empty = [
        label
        for label, row in zip(labels, cells, strict=True)
        if all(cell.ours.mean is None and cell.published is None for cell in row)
        and {cell.ours.note for cell in row} - {""} == {NOT_RUN_HERE}
    ]
    return empty if len(empty) < len(labels) else []


def not_run_words(labels: Sequence[str]) -> str:
    """What is said of rows that are left out; empty where none is."""
    return f"{NOT_RUN_HERE.capitalize()}: {', '.join(labels)}." if labels else ""


def side_by_side(
    label: str, ours: Sequence[str] | None, published: Sequence[str]
) -> list[tuple[str, Sequence[str]]]:
    """What a page has for one column of a table, each with its head: ours, the paper's, or both.

    ours: None for a column that has published numbers only. published: empty words where there is none.
    """
    columns = [] if ours is None else [(label, ours)]
    if any(published):
        columns.append((f"{label} ({PUBLISHED})" if ours is None else PUBLISHED, published))
    return columns


def cell_of(row: pd.Series) -> Cell:
    """The cell that a row of the CSV holds."""
    there = row.dropna()
    ours = Estimate(
        there.get("mean"), there.get("low"), there.get("high"), there.get("interval", ""),
        int(there.get("seeds", 0)), int(there.get("diverged_seeds", 0)), there.get("note", ""),
    )  # fmt: skip
    return Cell(ours, there.get("published"))


def published_words(numbers: Sequence[float | None], decimals: int | None = None) -> list[str]:
    """The published numbers of a column; by default each with the decimals that any of them has."""
    if decimals is None:
        texts = [f"{number:.10g}" for number in numbers if number is not None]
        decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return ["" if number is None else f"{number:.{decimals}f}" for number in numbers]


def _values(frames: Mapping[str, pd.DataFrame], column: TableColumn, cell: Sequence[Case]) -> Values:
    """By seed, the measure or a word that says why there is none."""
    if column.measure is None:
        return {}
    return {case.seed: measured(frames, column.name, case, column.measure).value for case in cell}


def _cells(table: PaperTable, values: Sequence[Sequence[Values]]) -> list[list[Cell]]:
    """Estimates and published numbers [rows][columns], of values [rows][columns]."""
    columns = [
        _column_cells(table, column, [row[j] for row in values], [row[j] for row in table.published])
        for j, column in enumerate(table.columns)
    ]
    return [[cells[i] for cells in columns] for i in range(len(table.rows))]


def _column_cells(
    table: PaperTable, column: TableColumn, values: Sequence[Values], published: Sequence[float | None]
) -> list[Cell]:
    """The cells of a column; where it asks for ratios, seed by seed."""
    if column.over:
        base = table.rows.index(column.over) if column.over in table.rows else None
        below = {} if base is None else values[base]
        values = [
            {seed: _ratio(value, below.get(seed, NOT_MEASURED)) for seed, value in row.items()}
            for row in values
        ]
        number = None if base is None else published[base]
        published = [value / number if value is not None and number else None for value in published]
    if column.measure is None:
        ours = [Estimate(note="")] * len(values)
    elif column.rank:
        ours = ranked(values, column.rank)
    else:
        ours = [estimate(row, table.interval, 100 if column.percent else 1) for row in values]
    return [Cell(*cell) for cell in zip(ours, published, strict=True)]


def _ratio(value: float | str, base: float | str) -> float | str:
    """value / base; the word where either has one in its place; a ratio to nothing is none."""
    if isinstance(value, str):
        return value
    if isinstance(base, str):
        return base
    return value / base if base else NOT_MEASURED


def seed_words(cells: Sequence[Estimate]) -> str:
    """Of how many seeds numbers are, and what stands beside them."""
    seeds = sorted({cell.seeds for cell in cells if cell.seeds})
    if not seeds:
        return ""
    if seeds[-1] == 1:
        return "Ours: one seed; how far it varies from seed to seed is not known."
    of = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    ways = {cell.interval for cell in cells if cell.interval}
    words = [text for way, text in INTERVALS.items() if way in ways]
    alone = "; no interval: one seed" if seeds[0] == 1 else ""
    few = (
        " Few seeds make few different resamples: such an interval is too narrow."
        if BOOTSTRAP in ways
        else ""
    )
    return f"Ours: mean over {of} seeds {'; '.join(words)}{alone}.{few}"


def _measure_words(columns: Sequence[TableColumn]) -> str:
    """Which columns are measured by what, and which are not."""
    by_measure: dict[str, list[str]] = {}
    for column in columns:
        words = column_words(column)
        words += ", in percent" if words and column.percent else ""
        by_measure.setdefault(words, []).append(column.label)
    if len(by_measure) == 1 and "" not in by_measure:
        return f"Measured: {escaped(next(iter(by_measure)))}."
    lines = [
        f"- {escaped(', '.join(labels))}: {escaped(words) or 'published only'}"
        for words, labels in by_measure.items()
    ]
    return "\n".join(lines)
