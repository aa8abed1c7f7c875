"""One figure from CSVs: read, select, hand to the kind's plug-in, save."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import pandas as pd

from fedscape.errors import FedscapeError
from fedscape.figures.labels import texts
from fedscape.figures.style import house_style, save
from fedscape.plugins import load
from fedscape.tables.read import read_table

TITLE_LINE = 0.2  # inches of a line of the title
LETTERS_PER_INCH = 13  # of a title, on average; a longer one goes on a second line


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

    kind: a module of fedscape.figures. settings: values of its own Settings.
    frames: CSVs by what they hold; files under one name are joined, in order. Which names a kind takes stands
    in its docstring.
    where: column -> value or list of values; see `selected`.
    labels: what the study calls its runs, `[{"label": ..., "where": {column: values}}, ...]`.
    Raises FedscapeError where `where` leaves nothing to draw, or the kind finds nothing in what it leaves.
    """
    plugin = load("figures.kinds", kind)
    read = {name: _read(paths, name) for name, paths in frames.items()}
    chosen = {name: selected(frame, where) for name, frame in read.items()}
    # Where all runs of a plane diverged, its surface has no rows to begin with: that can be drawn.
    empty = [name for name, frame in chosen.items() if frame.empty and not read[name].empty]
    if empty or all(frame.empty for frame in read.values()):
        conditions = ", ".join(f"{column}={value}" for column, value in where.items()) or "none"
        raise FedscapeError(f"figure {png}: no rows in {', '.join(empty or read)} for where: {conditions}")
    with house_style():
        try:
            figure = plugin.draw(chosen, plugin.Settings(**settings), labels)
        except FedscapeError as error:
            raise FedscapeError(f"figure {png}: {error}") from error
        if title:
            width = int(figure.get_figwidth() * LETTERS_PER_INCH)
            lines = fill(title, width, break_on_hyphens=False)
            figure.set_figheight(figure.get_figheight() + TITLE_LINE * (1 + lines.count("\n")))
            figure.suptitle(lines)
        save(figure, png, svg)


def selected(frame: pd.DataFrame, where: Mapping[str, object]) -> pd.DataFrame:
    """The rows of a frame that `where` asks for, ordered as its lists are.

    A column that the frame lacks does not filter, nor does the value `*`, which stands for several runs. A
    row about a pair of runs stays if both ends are asked for, so a list names the values of both. Names keep
    the order in which `where` lists them: rows are sorted by the place of their value in the list (stable).
    """
    wanted = {column: texts(value) for column, value in where.items() if column in frame}
    keep = pd.Series(True, index=frame.index)
    for column, values in wanted.items():
        for own in (column, f"to_{column}"):
            if own in frame:
                keep &= frame[own].astype(str).isin([*values, "*"])
    frame = frame[keep]
    for column, values in reversed(wanted.items()):
        place = {value: i for i, value in enumerate(values)}
        for own in (f"to_{column}", column):
            if own in frame:
                order = frame[own].astype(str).map(place).fillna(len(place))
                frame = frame.loc[order.sort_values(kind="stable").index]
    return frame.reset_index(drop=True)


def _read(paths: Sequence[Path], kind: str) -> pd.DataFrame:
    """All rows of some CSVs of a kind. One without rows is left out: its columns have no type yet."""
    read = [read_table(path, kind) for path in paths]
    return pd.concat([frame for frame in read if not frame.empty] or read[:1], ignore_index=True)
