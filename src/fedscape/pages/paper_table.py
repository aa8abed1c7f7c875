"""A table of the paper on a study's page: what its page in Markdown says, with what a click sorts it by."""

from collections.abc import Mapping

import pandas as pd

from fedscape.tables.table import PERCENT, cell_of, estimate_words, seed_words, side_by_side


def paper_table(table: pd.DataFrame, titles: Mapping[str, str]) -> dict:
    """Title, source, heads, rows of texts with the number each is sorted by, and what seeds they are of.

    table: rows of its CSV. titles: of tables, by name.
    """
    by_row = table.set_index(["row", "column"])
    labels = table["row"].drop_duplicates().tolist()
    heads = [{"word": "", "number": False}]
    columns: list[list[tuple[str, float | None]]] = [[(label, None) for label in labels]]
    estimates = []
    for column in table["column"].drop_duplicates():
        rows = [by_row.loc[(label, column)] for label in labels]
        cells = [cell_of(row) for row in rows]
        own = [cell.ours for cell in cells]
        estimates += own
        percent = str(rows[0]["unit"]) == PERCENT  # empty: as a missing value
        measured = any(estimate.mean is not None or estimate.note for estimate in own)
        ours = [estimate_words(estimate, percent) for estimate in own] if measured else None
        published = ["" if cell.published is None else f"{cell.published:g}" for cell in cells]
        for head, texts in side_by_side(column, ours, published):
            numbers = (
                [estimate.mean for estimate in own] if texts is ours else [cell.published for cell in cells]
            )
            heads.append({"word": head, "number": True})
            columns.append(list(zip(texts, numbers, strict=True)))
    name = str(table["table"].iloc[0])
    return {
        "title": titles.get(name, name),
        "source": table["source"].iloc[0],
        "heads": heads,
        "rows": list(zip(*columns, strict=True)),
        "seeds": seed_words(estimates),
    }
