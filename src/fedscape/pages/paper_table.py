"""A table of the paper on a study's page: what its page in Markdown says, with what a click sorts it by."""

from collections.abc import Mapping

import pandas as pd

from fedscape.tables.table import (
    PERCENT,
    cell_of,
    estimate_words,
    not_run,
    not_run_words,
    seed_words,
    side_by_side,
)


def paper_table(table: pd.DataFrame, titles: Mapping[str, str]) -> dict:
    """Title, source, heads, rows of texts with the number each is sorted by, and what is said below them.

    table: rows of its CSV. titles: of tables, by name.
    """
    by_row = table.set_index(["row", "column"])
    cells = {
        label: {column: cell_of(by_row.loc[(label, column)]) for column in table["column"].drop_duplicates()}
        for label in table["row"].drop_duplicates()
    }
    left_out = not_run(list(cells), [list(row.values()) for row in cells.values()])
    shown = [label for label in cells if label not in left_out]
    units = table.drop_duplicates("column").set_index("column")["unit"]
    heads: list[dict] = [{"word": "", "number": False}]
    columns: list[list[tuple[str, float | None]]] = [[(label, None) for label in shown]]
    for column, unit in units.items():
        own = [cells[label][column].ours for label in shown]
        theirs = [cells[label][column].published for label in shown]
        measured = any(estimate.mean is not None or estimate.note for estimate in own)
        percent = str(unit) == PERCENT  # empty: as a missing value
        ours = [estimate_words(estimate, percent) for estimate in own] if measured else None
        published = ["" if number is None else f"{number:g}" for number in theirs]
        for head, texts in side_by_side(str(column), ours, published):
            numbers = [estimate.mean for estimate in own] if texts is ours else theirs
            heads.append({"word": head, "number": True})
            columns.append(list(zip(texts, numbers, strict=True)))
    estimates = [cell.ours for row in cells.values() for cell in row.values()]
    first = table.iloc[0].fillna("")
    name = str(first["table"])
    return {
        "title": titles.get(name, name),
        "source": first["source"],
        "heads": heads,
        "rows": list(zip(*columns, strict=True)),
        "notes": list(filter(None, [not_run_words(left_out), seed_words(estimates)])),
    }
