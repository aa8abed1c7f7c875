"""Tables of a study: which runs each cell is measured on, and the paper's numbers beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fedscape.errors import FedscapeError
from fedscape.settings.claims import Case
from fedscape.settings.tables import PaperTable, TableColumn
from fedscape.study.cases import check_analysis, measure_of, members_of
from fedscape.study.catalog import constant
from fedscape.study.grid import Run, matching
from fedscape.study.problems import Problems
from fedscape.study.selection import Names, check_choice, check_names
from fedscape.study.stages.every import SECTION_OF_ENTRY
from fedscape.study.stages.tables import OF_EVERY_STUDY
from fedscape.study.study import Analyses, Study
from fedscape.study.types import unknown

_OWN_KEYS = ("title", "source", "where", "rows", "columns", "published", "interval")
_COLUMN_KEYS = ("label", "where", "percent", "over", "rank")
Labelled = list[tuple[str, Mapping[str, Any]]]  # rows or columns: label, and the rest of the entry


def build_tables(
    content: dict, runs: tuple[Run, ...], analyses: Analyses, names: Names, where: str
) -> dict[str, PaperTable]:
    """Every table by name, with the runs of this scale that its cells are measured on.

    Like a claim, a table outlives the scales: a cell may lack its runs. `check_tables` finds what no scale
    has. Raises FedscapeError for what is wrong at every scale alike, and for a cell with several runs of a
    seed: their mean is rarely meant.
    """
    problems = Problems()
    tables = {
        name: problems.of(_table, name, entry, content, runs, analyses, names, f"{where}: tables.{name}")
        for name, entry in content.get("tables", {}).items()
    }
    problems.tell()
    return tables


def _table(
    name: str,
    entry: dict,
    content: dict,
    runs: tuple[Run, ...],
    analyses: Analyses,
    names: Names,
    key: str,
) -> PaperTable:
    """A table with the runs of this scale that its cells are measured on."""
    if name.partition(".")[0] in OF_EVERY_STUDY:
        raise FedscapeError(f"{key}: every study has a table of this name; choose another")
    of_table = matching(runs, names.written_out(entry.get("where", {})))
    rows = _labelled(entry["rows"], of_table, f"{key}.rows")
    entries = _labelled(entry["columns"], of_table, f"{key}.columns")
    columns = tuple(
        _column(entry, label, keys, analyses, content, f"{key}.columns[{i}]")
        for i, (label, keys) in enumerate(entries)
    )
    wheres = [names.written_out(keys.get("where", {})) for _, keys in entries]
    cells = []
    for label, row in rows:
        of_row = matching(of_table, names.written_out(row.get("where", {})))
        cells.append(
            tuple(
                _cell(of_row, where, column, analyses, names, f"{key} ({label}, {column.label})")
                for where, column in zip(wheres, columns, strict=True)
            )
        )
    published = tuple(
        _numbers(entry.get("published", {}).get(label), len(columns), f"{key}.published.{label}")
        for label, _ in rows
    )
    return PaperTable(
        title=entry["title"],
        source=entry.get("source", ""),
        rows=tuple(label for label, _ in rows),
        columns=columns,
        cells=tuple(cells),
        published=published,
        interval=entry.get("interval", "student"),
    )


def check_tables(content: dict, scales: Sequence[Study], where: str) -> None:
    """Refuse tables that name what no scale has, and rows and measured columns that no scale has a run of."""
    problems = Problems()
    for name, entry in content.get("tables", {}).items():
        problems.of(
            _check_table, entry, [study.tables[name] for study in scales], scales, f"{where}: tables.{name}"
        )
    problems.tell()


def _check_table(entry: dict, tables: Sequence[PaperTable], scales: Sequence[Study], key: str) -> None:
    check_names(entry.get("where", {}), scales, f"{key}.where")
    for axis in ("rows", "columns"):
        for i, line in enumerate(entry[axis] if isinstance(entry[axis], list) else ()):
            check_names(line.get("where", {}), scales, f"{key}.{axis}[{i}].where")
    rows = dict.fromkeys(label for table in tables for label in table.rows)
    columns = [column for table in tables for column in table.columns]
    for column in columns:
        check_analysis(column.section, column.name, scales, key)
        if column.over is not None and column.over not in rows:
            raise FedscapeError(f"{key}.over: {unknown('row', column.over, rows)}")
    for label in entry.get("published", {}):
        if label not in rows:
            raise FedscapeError(f"{key}.published: {unknown('row', label, rows)}")
    measured_labels = [column.label for column in columns if column.measure]
    reached = {line for table in tables for line in _reached(table)}
    lines = [*(("row", label) for label in rows), *(("column", label) for label in measured_labels)]
    for line in lines if measured_labels else ():
        if line not in reached:
            kind, label = line
            raise FedscapeError(f"{key}: {kind} '{label}': no scale has a run of it")


def _labelled(entry: str | list, runs: Sequence[Run], where: str) -> Labelled:
    """Rows or columns: a list as it is, or one for each name that the runs have for a key."""
    if isinstance(entry, str):
        return [
            (str(name), {"where": {entry: name}}) for name in dict.fromkeys(getattr(r, entry) for r in runs)
        ]
    labels = [keys["label"] for keys in entry]
    for label in labels:
        if labels.count(label) > 1:
            raise FedscapeError(f"{where}: two are called '{label}'")
    return [(keys["label"], keys) for keys in entry]


def _column(
    table: Mapping, label: str, entry: Mapping, analyses: Analyses, content: Mapping, where: str
) -> TableColumn:
    """One column: what it says itself, and the table's measure where it names none."""
    own = {key: value for key, value in entry.items() if key not in _COLUMN_KEYS}
    shared = {key: value for key, value in table.items() if key not in (*_OWN_KEYS, *_COLUMN_KEYS)}
    if "measure" not in own:
        own = {**shared, **own}
    over, rank = (entry.get(key, table.get(key)) for key in ("over", "rank"))
    if over and rank:
        raise FedscapeError(f"{where}: `over` and `rank` go one without the other")
    # A ratio has no unit, nor has a rank.
    percent = entry.get("percent", table.get("percent", False)) and over is None and rank is None
    if own.pop("measure", None) is None:
        if own:
            raise FedscapeError(f"{where}: key '{next(iter(own))}' needs a `measure`")
        return TableColumn(label, None, "", "", percent, over, rank)
    named = entry.get("measure", table.get("measure"))
    measure, section, name = measure_of({"measure": named, **own}, analyses, where)
    check_choice(measure.settings, content, where)
    return TableColumn(label, measure, section, name, percent, over, rank)


def _cell(
    runs: Sequence[Run],
    where: Mapping[str, list],
    column: TableColumn,
    analyses: Analyses,
    names: Names,
    key: str,
) -> tuple[Case, ...]:
    """A case for each seed of which this scale has runs.

    runs: those that match the table and the row. where: of the column. key: for messages.
    """
    if column.measure is None:
        return ()
    by_seed: dict[int, list[Run]] = {seed: [] for seed in names.every["seed"]}
    for run in matching(runs, where):
        by_seed.setdefault(run.seed, []).append(run)
    several = constant("measure", column.measure.kind, "SEVERAL")
    cases = []
    for of_seed in map(tuple, by_seed.values()):
        members = members_of(of_seed, column.section, column.name, analyses)
        if column.section in ("", SECTION_OF_ENTRY["curvature"]) and not several:
            chooses = bool(column.measure.settings.get("choose"))
            _check_alone(members.runs, chooses, names, key)
        if members.runs:
            cases.append(members.case)
    return tuple(cases)


def _check_alone(runs: Sequence[Run], chooses: bool, names: Names, where: str) -> None:
    """Refuse several runs of one seed, but for points of one grid.

    chooses: whether the measure chooses one of these points.
    """
    grids = {point: base for base, points in names.points.items() for point in points}
    single = {replace(run, method=grids[run.method]) if chooses else run for run in runs}
    if len(single) > 1:
        paths = " and ".join(run.path for run in runs[:2])
        raise FedscapeError(f"{where}: several runs of one seed ({paths}); narrow `where`")


def _numbers(values: Sequence | None, columns: int, where: str) -> tuple[float | None, ...]:
    """The published numbers of a row, one per column."""
    if values is None:
        return (None,) * columns
    if len(values) != columns:
        raise FedscapeError(f"{where}: {len(values)} numbers for {columns} columns; null where there is none")
    return tuple(values)


def _reached(table: PaperTable) -> Iterator[tuple[str, str]]:
    """The rows and columns of which this scale has any run."""
    for label, row in zip(table.rows, table.cells, strict=True):
        for column, cell in zip(table.columns, row, strict=True):
            if cell:
                yield from (("row", label), ("column", column.label))
