"""Tables of a study: which runs each cell is measured on, and the paper's numbers beside it."""

from collections.abc import Iterator, Mapping, Sequence

from fedscape.errors import FedscapeError
from fedscape.study.cases import SECTIONS, case_of, check_analysis, measured
from fedscape.study.grid import Run, matches
from fedscape.study.selection import Names, check_names
from fedscape.study.study import Case, Column, Study, Table
from fedscape.study.types import unknown

# Files of `tables/` that every study has: no table can have their names.
OF_EVERY_STUDY = ("runs", "rounds", "barriers", "layers", "distances", "hessian", "drift", "claims", "costs")
_OWN_KEYS = ("title", "source", "where", "rows", "columns", "published")
_COLUMN_KEYS = ("label", "where", "percent", "over")
Labelled = list[tuple[str, Mapping[str, object]]]  # rows or columns: label, and the rest of the entry


def build_tables(
    content: dict, runs: tuple[Run, ...], analyses: Mapping[str, Mapping], names: Names, where: str
) -> dict[str, Table]:
    """Every table by name, with the runs of this scale that its cells are measured on.

    Like a claim, a table outlives the scales: a cell may lack its runs. `check_tables` finds what no scale
    has. Raises FedscapeError for what is wrong at every scale alike, and for a cell with several runs of a
    seed: their mean is rarely meant.
    """
    tables = {}
    for name, entry in content.get("tables", {}).items():
        place = f"{where}: tables.{name}"
        if name.partition(".")[0] in OF_EVERY_STUDY:
            raise FedscapeError(f"{place}: every study has a table of this name; choose another")
        shared = names.written_out(entry.get("where", {}))
        here = [run for run in runs if matches(run, shared)]
        rows = _labelled(entry["rows"], here, f"{place}.rows")
        columns = _labelled(entry["columns"], here, f"{place}.columns")
        built = [
            _column(entry, label, one, analyses, f"{place}.columns[{i}]")
            for i, (label, one) in enumerate(columns)
        ]
        cells = tuple(
            tuple(
                _cell(shared, row, one, column, analyses, here, names, f"{place} ({label}, {column.label})")
                for (_, one), column in zip(columns, built, strict=True)
            )
            for label, row in rows
        )
        published = tuple(
            _numbers(entry.get("published", {}).get(label), len(columns), f"{place}.published.{label}")
            for label, _ in rows
        )
        labels = tuple(label for label, _ in rows)
        tables[name] = Table(entry["title"], entry.get("source", ""), labels, tuple(built), cells, published)
    return tables


def check_tables(content: dict, scales: Sequence[Study], where: str) -> None:
    """Refuse tables that name what no scale has, and rows and measured columns that no scale has a run of."""
    for name, entry in content.get("tables", {}).items():
        place = f"{where}: tables.{name}"
        tables = [study.tables[name] for study in scales]
        check_names(entry.get("where", {}), scales, f"{place}.where")
        for key in ("rows", "columns"):
            for i, one in enumerate(entry[key] if isinstance(entry[key], list) else ()):
                check_names(one.get("where", {}), scales, f"{place}.{key}[{i}].where")
        rows = dict.fromkeys(label for table in tables for label in table.rows)
        for column in [one for table in tables for one in table.columns]:
            check_analysis(column.section, column.name, scales, place)
            if column.over is not None and column.over not in rows:
                raise FedscapeError(f"{place}.over: {unknown('row', column.over, rows)}")
        for label in entry.get("published", {}):
            if label not in rows:
                raise FedscapeError(f"{place}.published: {unknown('row', label, rows)}")
        reached = dict.fromkeys(found for table in tables for found in _reached(table))
        wanted = [("row", label) for label in rows]
        wanted += [("column", one.label) for table in tables for one in table.columns if one.measure]
        for kind, label in wanted if any(kind == "column" for kind, _ in wanted) else ():
            if (kind, label) not in reached:
                raise FedscapeError(f"{place}: {kind} '{label}': no scale has a run of it")


def _labelled(entry: str | list, runs: Sequence[Run], place: str) -> Labelled:
    """Rows or columns: a list as it is, or one for each name that the runs have for a key."""
    if isinstance(entry, str):
        return [
            (str(name), {"where": {entry: name}}) for name in dict.fromkeys(getattr(r, entry) for r in runs)
        ]
    labels = [one["label"] for one in entry]
    for label in labels:
        if labels.count(label) > 1:
            raise FedscapeError(f"{place}: two are called '{label}'")
    return [(one["label"], one) for one in entry]


def _column(
    table: Mapping, label: str, entry: Mapping, analyses: Mapping[str, Mapping], place: str
) -> Column:
    """One column: what it says itself, and the table's measure where it names none."""
    own = {key: value for key, value in entry.items() if key not in _COLUMN_KEYS}
    shared = {key: value for key, value in table.items() if key not in (*_OWN_KEYS, *_COLUMN_KEYS)}
    if "measure" not in own:
        own = {**shared, **own}
    over = entry.get("over", table.get("over"))
    # A ratio has no unit.
    percent = entry.get("percent", table.get("percent", False)) and over is None
    if own.pop("measure", None) is None:
        if own:
            raise FedscapeError(f"{place}: key '{next(iter(own))}' needs a `measure`")
        return Column(label, None, "", "", percent, over)
    named = entry.get("measure", table.get("measure"))
    measure, section, name = measured({"measure": named, **own}, analyses, place)
    return Column(label, measure, section, name, percent, over)


def _cell(
    shared: Mapping,
    row: Mapping,
    entry: Mapping,
    column: Column,
    analyses: Mapping[str, Mapping],
    runs: Sequence[Run],
    names: Names,
    place: str,
) -> tuple[Case, ...]:
    """A case for each seed of which this scale has runs."""
    if column.measure is None:
        return ()
    wheres = [shared, *(names.written_out(one.get("where", {})) for one in (row, entry))]
    found = []
    for seed in names.every["seed"]:
        case = case_of([*wheres, {"seed": [seed]}], column.section, column.name, analyses, tuple(runs))
        if len(case.runs) > 1 and column.section in ("", SECTIONS["curvature"]):
            paths = " and ".join(run.path for run in case.runs[:2])
            raise FedscapeError(f"{place}: several runs of one seed ({paths}); narrow `where`")
        if case.runs:
            found.append(case)
    return tuple(found)


def _numbers(values: Sequence | None, columns: int, place: str) -> tuple[float | None, ...]:
    """The published numbers of a row, one per column."""
    if values is None:
        return (None,) * columns
    if len(values) != columns:
        raise FedscapeError(f"{place}: {len(values)} numbers for {columns} columns; null where there is none")
    return tuple(values)


def _reached(table: Table) -> Iterator[tuple[str, str]]:
    """The rows and columns of which this scale has any run."""
    for label, row in zip(table.rows, table.cells, strict=True):
        for column, cell in zip(table.columns, row, strict=True):
            if cell:
                yield from (("row", label), ("column", column.label))
