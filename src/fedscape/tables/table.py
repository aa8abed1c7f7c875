"""One table of the paper: our numbers with an interval over seeds, and its numbers beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns.csvs import write_csv
from fedscape.columns.kinds import FILES
from fedscape.files import write_text
from fedscape.tables.cases import NOT_MEASURED, measured, read_frames
from fedscape.tables.claims_page import measure_words
from fedscape.tables.estimate import Estimate, estimate, ranked
from fedscape.tables.table_page import table_page


def make_table(
    *,
    name: str,
    table: Mapping,
    measures: Sequence[dict],
    study: str,
    scale: str,
    runs: str | Path,
    rounds: Sequence[str | Path],
    timings: Sequence[str | Path],
    barriers: Sequence[str | Path],
    layers: Sequence[str | Path],
    distances: Sequence[str | Path],
    markers: Sequence[str | Path],
    surfaces: Sequence[str | Path],
    curvatures: Sequence[str | Path],
    out_csv: str | Path,
    out_page: str | Path,
) -> None:
    """Write one row per cell as CSV, and the table to read in Markdown.

    table: `{title, source, rows, columns, cells, published, interval}`: labels of rows; columns `{label,
    measured, section, name, percent, over, rank}`; cells [rows][columns], each `[{seed, runs, groups,
    needs}]`, runs by their paths; published numbers or None [rows][columns]; interval: student | bootstrap.
    measures: of the columns that are measured, `{kind, ...its settings}`. runs: tables/runs.csv. rounds:
    tables/rounds.csv, and timings: timing.csv of every run, if a measure reads them. The others: CSVs of all
    groups that the cells name. Raises FedscapeError if a file is not whole or lacks a column.
    """
    files = {
        "rounds": rounds, "barriers": barriers, "layers": layers, "distances": distances, "markers": markers,
        "surface": surfaces, "curvature": curvatures,
    }  # fmt: skip
    frames = read_frames({"runs": [runs], "timing": timings, **files})
    waiting = iter(measures)
    columns = [{**one, "measure": next(waiting) if one["measured"] else None} for one in table["columns"]]
    values = [
        [_values(frames, column, cell) for column, cell in zip(columns, row, strict=True)]
        for row in table["cells"]
    ]
    ours, published = _per_row(table, columns, values)
    rows = [
        {
            "study": study,
            "scale": scale,
            "table": name,
            "row": row,
            "column": column["label"],
            "measure": column_words(column),
            "unit": "%" if column["percent"] else "",
            "mean": ours[i][j].mean,
            "half_width": ours[i][j].half_width,
            "low": ours[i][j].low,
            "high": ours[i][j].high,
            "interval": ours[i][j].interval,
            "seeds": ours[i][j].seeds,
            "diverged_seeds": ours[i][j].diverged,
            "published": published[i][j],
            "source": table["source"],
            "note": ours[i][j].note,
        }
        for i, row in enumerate(table["rows"])
        for j, column in enumerate(columns)
    ]
    frame = pd.DataFrame(rows).assign(number=range(1, len(rows) + 1))
    write_csv(out_csv, frame[FILES["table"].columns], sort_by=["number"])
    words = [column_words(column) for column in columns]
    write_text(out_page, table_page(table, columns, words, ours, published, study, scale))


def column_words(column: Mapping) -> str:
    """What a column measures, to read; empty if it has published numbers only."""
    if column["measure"] is None:
        return ""
    words = measure_words(column, column["measure"])
    if column["rank"]:
        return f"rank by {words}, 1: {column['rank']}"
    return words + (f", over that of {column['over']}" if column["over"] else "")


def _values(frames: Mapping[str, pd.DataFrame], column: Mapping, cell: Sequence[Mapping]) -> dict:
    """By seed, the measure or a word that says why there is none."""
    return {case["seed"]: measured(frames, column["name"], case, column["measure"]).value for case in cell}


def _per_row(table: Mapping, columns: Sequence[Mapping], values: list[list[dict]]) -> tuple[list, list]:
    """Estimates and published numbers [rows][columns]; where a column asks for ratios, seed by seed."""
    ours, published = [], []
    ranks = {
        j: ranked([row[j] for row in values], column["rank"])
        for j, column in enumerate(columns)
        if column["rank"] and column["measure"]
    }
    for row, numbers in zip(values, table["published"], strict=True):
        ours.append([])
        published.append([])
        for j, column in enumerate(columns):
            base = table["rows"].index(column["over"]) if column["over"] in table["rows"] else None
            cell, number = row[j], numbers[j]
            if column["over"]:
                of = {} if base is None else values[base][j]
                cell = {seed: _ratio(value, of.get(seed, NOT_MEASURED)) for seed, value in cell.items()}
                number = _ratio(number, None if base is None else table["published"][base][j] or None)
            if column["measure"] is None:
                ours[-1].append(Estimate(note=""))
            elif column["rank"]:
                ours[-1].append(ranks[j][len(ours) - 1])
            else:
                ours[-1].append(estimate(cell, table["interval"], 100 if column["percent"] else 1))
            published[-1].append(number)
    return ours, published


def _ratio(value: float | str | None, base: float | str | None) -> float | str | None:
    """value / base; the word, or None, where either has one in its place; a ratio to nothing is none."""
    for one in (value, base):
        if one is None or isinstance(one, str):
            return one
    return value / base if base else NOT_MEASURED
