"""One table of the paper: our numbers with an interval over seeds, its numbers beside, and a page to read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns.csvs import write_csv
from fedscape.columns.tables import TABLE
from fedscape.files import write_text
from fedscape.tables.cases import NOT_MEASURED, measure_words, measured, read_frames
from fedscape.tables.estimate import BOOTSTRAP, STUDENT, Estimate, estimate, ranked
from fedscape.tables.markdown import escaped, markdown_table

PUBLISHED = "paper"  # head of a column of published numbers
INTERVALS = {
    STUDENT: "± half-width of its 95 % interval (Student's t)",
    BOOTSTRAP: "[ends of its 95 % interval, by the percentile bootstrap over seeds]",
}
RATIO_DECIMALS = 2  # of a published number over another


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
    write_csv(out_csv, frame[TABLE.columns], sort_by=["number"])
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


def table_page(
    table: Mapping,
    columns: Sequence[Mapping],
    measures: Sequence[str],
    ours: Sequence[Sequence[Estimate]],
    published: Sequence[Sequence[float | None]],
    study: str,
    scale: str,
) -> str:
    """Markdown text.

    table, columns: as `make_table` has them. measures: of each column, in words. ours: estimates,
    published: numbers or None, both [rows][columns].
    """
    header, picked = [""], []
    for j, column in enumerate(columns):
        beside = any(row[j] is not None for row in published)
        if column["measure"] is not None:
            header.append(column["label"])
            picked.append((j, False))
        if beside:
            header.append(PUBLISHED if column["measure"] is not None else f"{column['label']} ({PUBLISHED})")
            picked.append((j, True))
    lines = []
    printed = [
        published_words([row[j] for row in published], RATIO_DECIMALS if column["over"] else None)
        for j, column in enumerate(columns)
    ]
    for i, label in enumerate(table["rows"]):
        cells = [
            printed[j][i] if beside else estimate_words(ours[i][j], columns[j]["percent"])
            for j, beside in picked
        ]
        lines.append([label, *cells])
    source = f"{table['source']}: " if table["source"] else ""
    parts = [
        f"# {escaped(source + table['title'])}",
        f"study {study}, scale {scale}",
        markdown_table(header, lines, texts=1),
        _seed_words([one for row in ours for one in row]),
        _measure_words(columns, measures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def estimate_words(one: Estimate, percent: bool) -> str:
    """`52.9 ± 0.4` or `52.9 [52.4, 53.2]`, and what is left out of it; or the word why there is none."""
    if one.mean is None:
        return one.note
    text = f"{one.mean:.1f}" if percent else f"{one.mean:.4g}"
    if one.half_width is not None:
        text += f" ± {one.half_width:.1f}" if percent else f" ± {one.half_width:.2g}"
    elif one.low is not None:
        ends = [f"{end:.1f}" if percent else f"{end:.4g}" for end in (one.low, one.high)]
        text += f" [{', '.join(ends)}]"
    return text + (f" ({one.diverged} diverged)" if one.diverged else "")


def published_words(numbers: Sequence[float | None], decimals: int | None = None) -> list[str]:
    """The published numbers of a column; by default each with the decimals that any of them has."""
    if decimals is None:
        texts = [f"{number:.10g}" for number in numbers if number is not None]
        decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return ["" if number is None else f"{number:.{decimals}f}" for number in numbers]


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


def _seed_words(cells: Sequence[Estimate]) -> str:
    seeds = sorted({one.seeds for one in cells if one.seeds})
    if not seeds:
        return ""
    if seeds[-1] == 1:
        return "Ours: one seed; how far it varies from seed to seed is not known."
    of = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    ways = {one.interval for one in cells if one.interval}
    words = [text for way, text in INTERVALS.items() if way in ways]
    alone = "; no interval: one seed" if seeds[0] == 1 else ""
    few = (
        " Few seeds make few different resamples: such an interval is too narrow."
        if BOOTSTRAP in ways
        else ""
    )
    return f"Ours: mean over {of} seeds {'; '.join(words)}{alone}.{few}"


def _measure_words(columns: Sequence[Mapping], measures: Sequence[str]) -> str:
    """Which columns are measured by what, and which are not."""
    by_measure: dict[str, list[str]] = {}
    for column, words in zip(columns, measures, strict=True):
        words += ", in percent" if words and column["percent"] else ""
        by_measure.setdefault(words, []).append(column["label"])
    if len(by_measure) == 1 and "" not in by_measure:
        return f"Measured: {escaped(next(iter(by_measure)))}."
    lines = [
        f"- {escaped(', '.join(labels))}: {escaped(words) or 'published only'}"
        for words, labels in by_measure.items()
    ]
    return "\n".join(lines)
