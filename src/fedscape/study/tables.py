"""Tables of a study: which runs each cell is measured on, and the paper's numbers beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fedscape.errors import FedscapeError
from fedscape.study.cases import SECTIONS, case_of, check_analysis, measured
from fedscape.study.catalog import constant
from fedscape.study.grid import Run, matching
from fedscape.study.selection import Names, check_choice, check_names
from fedscape.study.study import Case, Column, Study, Table
from fedscape.study.types import unknown

# Files of `tables/` that every study has: no table can have their names.
OF_EVERY_STUDY = (
    "runs", "rounds", "barriers", "layers", "distances", "curvature", "drift", "claims", "contrasts",
    "claim-values", "costs",
)  # fmt: skip
_OWN_KEYS = ("title", "source", "where", "rows", "columns", "published", "interval")
_COLUMN_KEYS = ("label", "where", "percent", "over", "rank")
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
        here = matching(runs, shared)
        rows = _labelled(entry["rows"], here, f"{place}.rows")
        columns = _labelled(entry["columns"], here, f"{place}.columns")
        built = [
            _column(entry, label, one, analyses, content, f"{place}.columns[{i}]")
            for i, (label, one) in enumerate(columns)
        ]
        beside = [names.written_out(one.get("where", {})) for _, one in columns]
        cells = []
        for label, row in rows:
            of_row = matching(here, names.written_out(row.get("where", {})))
            cells.append(
                tuple(
                    _cell(of_row, where, column, analyses, names, f"{place} ({label}, {column.label})")
                    for where, column in zip(beside, built, strict=True)
                )
            )
        published = tuple(
            _numbers(entry.get("published", {}).get(label), len(columns), f"{place}.published.{label}")
            for label, _ in rows
        )
        tables[name] = Table(
            title=entry["title"],
            source=entry.get("source", ""),
            rows=tuple(label for label, _ in rows),
            columns=tuple(built),
            cells=tuple(cells),
            published=published,
            interval=entry.get("interval", "student"),
        )
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
    table: Mapping, label: str, entry: Mapping, analyses: Mapping[str, Mapping], content: Mapping, place: str
) -> Column:
    """One column: what it says itself, and the table's measure where it names none."""
    own = {key: value for key, value in entry.items() if key not in _COLUMN_KEYS}
    shared = {key: value for key, value in table.items() if key not in (*_OWN_KEYS, *_COLUMN_KEYS)}
    if "measure" not in own:
        own = {**shared, **own}
    over, rank = (entry.get(key, table.get(key)) for key in ("over", "rank"))
    if over and rank:
        raise FedscapeError(f"{place}: `over` and `rank` go one without the other")
    # A ratio has no unit, nor has a rank.
    percent = entry.get("percent", table.get("percent", False)) and over is None and rank is None
    if own.pop("measure", None) is None:
        if own:
            raise FedscapeError(f"{place}: key '{next(iter(own))}' needs a `measure`")
        return Column(label, None, "", "", percent, over, rank)
    named = entry.get("measure", table.get("measure"))
    measure, section, name = measured({"measure": named, **own}, analyses, place)
    check_choice(measure, content, place)
    return Column(label, measure, section, name, percent, over, rank)


def _cell(
    runs: Sequence[Run],
    where: Mapping[str, list],
    column: Column,
    analyses: Mapping[str, Mapping],
    names: Names,
    place: str,
) -> tuple[Case, ...]:
    """A case for each seed of which this scale has runs.

    runs: those that match the table and the row. where: of the column.
    """
    if column.measure is None:
        return ()
    by_seed: dict[int, list[Run]] = {seed: [] for seed in names.every["seed"]}
    for run in matching(runs, where):
        by_seed.setdefault(run.seed, []).append(run)
    found = []
    for of_seed in map(tuple, by_seed.values()):
        case = case_of(of_seed, column.section, column.name, analyses)
        if column.section in ("", SECTIONS["curvature"]) and not constant(
            "measure", column.measure["kind"], "SEVERAL"
        ):
            _check_alone(case.runs, column, names, place)
        if case.runs:
            found.append(case)
    return tuple(found)


def _check_alone(runs: Sequence[Run], column: Column, names: Names, place: str) -> None:
    """Refuse several runs of one seed, but for points of one grid of which the measure chooses one."""
    grids = {point: base for base, points in names.points.items() for point in points}
    single = {replace(run, method=grids[run.method]) if column.measure.get("choose") else run for run in runs}
    if len(single) > 1:
        paths = " and ".join(run.path for run in runs[:2])
        raise FedscapeError(f"{place}: several runs of one seed ({paths}); narrow `where`")


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
