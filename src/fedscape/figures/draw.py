"""One figure from CSVs: read, select, hand to the kind's plug-in, save."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import pandas as pd

from fedscape.errors import FedscapeError
from fedscape.figures.labels import texts
from fedscape.figures.looks import Labels
from fedscape.figures.style import house_style, save
from fedscape.plugins import load
from fedscape.tables.read import read_table

TITLE_LINE = 0.2  # inches of a line of the title
LETTERS_PER_INCH = 13  # of a title, on average; longer titles are wrapped


def draw_figure(
    *,
    kind: str,
    settings: dict,
    title: str,
    frames: Mapping[str, Sequence[Path]],
    where: Mapping[str, object],
    labels: Sequence[Mapping],
    png: Path,
    svg: Path,
) -> None:
    """Draw a figure of a kind and write it as PNG and SVG; the same CSVs give the same bytes.

    kind: a module of fedscape.figures.kinds. settings: values of its own Settings.
    frames: CSVs by what they hold; files under one name are joined, in order. The kind's docstring says which
    names it takes.
    where: column -> value or list of values; see `selected`.
    labels: what the study calls its runs, `[{"label": ..., "where": {column: values}}, ...]`; if they are
    `Labels`, also how it draws them.
    Raises FedscapeError where `where` leaves nothing to draw, or the kind finds nothing in what it leaves.
    """
    plugin = load("figures.kinds", kind)
    tables = {name: _read(paths, name) for name, paths in frames.items()}
    selection = {name: selected(table, where) for name, table in tables.items()}
    # Where all runs of a plane diverged, its surface has no rows to begin with: that can be drawn.
    empty = [name for name, rows in selection.items() if rows.empty and not tables[name].empty]
    if empty or all(table.empty for table in tables.values()):
        conditions = ", ".join(f"{column}={value}" for column, value in where.items()) or "none"
        raise FedscapeError(f"figure {png}: no rows in {', '.join(empty or tables)} for where: {conditions}")
    with house_style():
        try:
            figure = plugin.draw(selection, plugin.Settings(**settings), Labels.of(labels))
        except FedscapeError as error:
            raise FedscapeError(f"figure {png}: {error}") from error
        if title:
            width = int(figure.get_figwidth() * LETTERS_PER_INCH)
            lines = fill(title, width, break_on_hyphens=False)
            figure.set_figheight(figure.get_figheight() + TITLE_LINE * (1 + lines.count("\n")))
            figure.suptitle(lines)
        save(figure, png, svg)


def selected(frame: pd.DataFrame, where: Mapping[str, object]) -> pd.DataFrame:
    """The rows of a frame that `where` asks for, in the order of its lists.

    A column that the frame lacks does not filter, nor does the value `*`, which stands for several runs. A
    row about a pair of runs stays if both runs are asked for, so a list names the values of both. Rows are
    sorted (stable) by the position of their value in its list.
    """
    conditions = {column: texts(value) for column, value in where.items() if column in frame}
    keep = pd.Series(True, index=frame.index)
    for column, values in conditions.items():
        for name in (column, f"to_{column}"):
            if name in frame:
                keep &= frame[name].astype(str).isin([*values, "*"])
    frame = frame[keep]
    for column, values in reversed(conditions.items()):
        positions = {value: i for i, value in enumerate(values)}
        for name in (f"to_{column}", column):
            if name in frame:
                order = frame[name].astype(str).map(positions).fillna(len(positions))
                frame = frame.loc[order.sort_values(kind="stable").index]
    return frame.reset_index(drop=True)


def _read(paths: Sequence[Path], kind: str) -> pd.DataFrame:
    """All rows of CSVs of a kind. Those without rows are left out, since their columns have no types."""
    tables = [read_table(path, kind) for path in paths]
    return pd.concat([table for table in tables if not table.empty] or tables[:1], ignore_index=True)
