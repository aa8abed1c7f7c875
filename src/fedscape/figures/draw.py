"""One figure from CSVs: read, select, hand to the kind's plug-in, save."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import pandas as pd

from fedscape.errors import FedscapeError
from fedscape.figures.style import house_style, save
from fedscape.files import read_csv
from fedscape.plugins import load

LETTERS_PER_INCH = 12  # of a title, on average; a longer one goes on a second line


def draw_figure(
    *,
    kind: str,
    settings: dict,
    title: str,
    frames: Mapping[str, Sequence[Path]],
    where: Mapping[str, object],
    png: Path,
    svg: Path,
) -> None:
    """Draw a figure of a kind and write it as PNG and SVG; the same CSVs give the same bytes.

    kind: a module of fedscape.figures. settings: values of its own Settings.
    frames: CSVs by what they hold; files under one name are joined, in order. Which names a kind takes stands
    in its docstring.
    where: column -> value or list of values; see `selected`.
    Raises FedscapeError where `where` leaves nothing to draw, or the kind finds nothing in what it leaves.
    """
    plugin = load("figures", kind)
    chosen = {name: selected(_read(paths), where) for name, paths in frames.items()}
    empty = [name for name, frame in chosen.items() if frame.empty]
    if empty:
        conditions = ", ".join(f"{column}={value}" for column, value in where.items()) or "none"
        raise FedscapeError(f"figure {png}: no rows in {', '.join(empty)} for where: {conditions}")
    with house_style():
        try:
            figure = plugin.draw(chosen, plugin.Settings(**settings))
        except FedscapeError as error:
            raise FedscapeError(f"figure {png}: {error}") from error
        if title:
            width = int(figure.get_figwidth() * LETTERS_PER_INCH)
            figure.suptitle(fill(title, width, break_on_hyphens=False))
        save(figure, png, svg)


def selected(frame: pd.DataFrame, where: Mapping[str, object]) -> pd.DataFrame:
    """The rows of a frame that `where` asks for, ordered as its lists are.

    A column that the frame lacks does not filter, nor does the value `*`, which stands for several runs. A
    row about a pair of runs stays if either end is asked for. Names keep the order in which `where` lists
    them: rows are sorted by the place of their value in the list (stable).
    """
    wanted = {column: _texts(value) for column, value in where.items() if column in frame}
    ends = ["", "to_"] if any(f"to_{column}" in frame for column in wanted) else [""]
    keep = pd.Series(False, index=frame.index)
    for end in ends:
        fits = pd.Series(True, index=frame.index)
        for column, values in wanted.items():
            # An end's own column where there is one: both ends share the data set and the model.
            own = f"{end}{column}" if f"{end}{column}" in frame else column
            fits &= frame[own].astype(str).isin([*values, "*"])
        keep |= fits
    frame = frame[keep]
    for column, values in reversed(wanted.items()):
        place = {value: i for i, value in enumerate(values)}
        for own in (f"to_{column}", column):
            if own in frame:
                order = frame[own].astype(str).map(place).fillna(len(place))
                frame = frame.loc[order.sort_values(kind="stable").index]
    return frame.reset_index(drop=True)


def _read(paths: Sequence[Path]) -> pd.DataFrame:
    return pd.concat([read_csv(path) for path in paths], ignore_index=True)


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)]
