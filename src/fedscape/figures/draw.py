"""One figure from CSVs: read, select, hand to the kind's plug-in, save."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fedscape.errors import FedscapeError
from fedscape.figures.labels import balanced, texts
from fedscape.figures.looks import Labels
from fedscape.figures.medium import SCREEN, Style, house_style, legible
from fedscape.figures.style import save
from fedscape.files import write_text
from fedscape.plugins import load
from fedscape.tables.read import read_table

TITLE_LINE = 0.2  # inches of a line of the title
DIAGNOSTICS = "-diagnostics"  # at the end of their file's name
WRITTEN = "(Written by fedscape, beside its figure.)"  # the last line of a caption's file
LETTERS_PER_INCH = 13  # of a title, on average; longer titles are wrapped


@dataclass(frozen=True)
class Content:
    """What a figure shows: its kind with settings, CSVs by what they hold, and which of their rows.

    settings: values of the kind's own Settings. frames: files under one name are joined, in order. The kind's
    docstring says which names it takes. where: column -> value or list of values; see `selected`.
    labels: what the study calls its runs, `[{"label": ..., "where": {column: values}}, ...]`; if they are
    `Labels`, also how it draws them.
    """

    kind: str
    settings: Mapping[str, Any]
    frames: Mapping[str, Sequence[Path]]
    where: Mapping[str, object]
    labels: Sequence[Mapping]


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
    style: Style = SCREEN,
) -> None:
    """Draw a figure of a kind and write it as PNG and SVG; the same CSVs give the same bytes.

    kind: a module of fedscape.figures.kinds. settings, frames, where, labels: see `Content`. In print there
    is no title, and what the kind keeps out of its figure is in files beside it; see `write_figure`.
    Such files of an earlier drawing are removed. Raises FedscapeError where `where` leaves nothing to draw,
    or the kind finds nothing in what it leaves.
    """
    for path in (caption_file(png), *diagnostics_files([png, svg])):
        path.unlink(missing_ok=True)
    write_figure(Content(kind, settings, frames, where, labels), title, style, [png, svg])


def write_figure(
    content: Content, title: str, style: Style, paths: Sequence[Path], caption: str = ""
) -> list[Path]:
    """Draw a figure in a style and write it to all paths (PNG, SVG, PDF); gives what was written.

    In print also `<name>-diagnostics` of each path, for a kind that has them, and `<name>-caption.txt`:
    title, caption (by default the kind's), and what it must say because the figure does not.
    """
    plugin = load("figures.kinds", content.kind)
    tables = {name: _read(files, name) for name, files in content.frames.items()}
    labels = Labels.of(content.labels)
    selection = {name: selected(labels.in_order(table), content.where) for name, table in tables.items()}
    # Where all runs of a plane diverged, its surface has no rows to begin with: that can be drawn.
    empty = [name for name, rows in selection.items() if rows.empty and not tables[name].empty]
    if empty or all(table.empty for table in tables.values()):
        conditions = ", ".join(f"{column}={value}" for column, value in content.where.items()) or "none"
        raise FedscapeError(
            f"figure {paths[0]}: no rows in {', '.join(empty or tables)} for where: {conditions}"
        )
    arguments = selection, plugin.Settings(**content.settings), labels
    with house_style(style) as medium:
        try:
            figure = plugin.draw(*arguments)
            beside = _diagnostics(plugin)(*arguments) if medium.in_print else None
        except FedscapeError as error:
            raise FedscapeError(f"figure {paths[0]}: {error}") from error
        if not medium.in_print:
            _add_title(figure, title)
            save(figure, *paths)
            return list(paths)
        save(legible(figure), *paths)
        written = list(paths)
        if beside is not None:
            others = diagnostics_files(paths)
            save(legible(beside), *others)
            written += others
        text = caption_file(paths[0])
        lines = filter(None, [title, caption or getattr(plugin, "CAPTION", ""), *medium.notes, WRITTEN])
        write_text(text, "".join(f"{line}\n" for line in lines))
        return [*written, text]


def diagnostics_files(paths: Sequence[Path]) -> list[Path]:
    """Where the diagnostics of a figure in print are."""
    return [path.with_name(f"{path.stem}{DIAGNOSTICS}{path.suffix}") for path in paths]


def caption_file(path: Path) -> Path:
    """Where the words of a figure in print are. path: of the figure."""
    return path.with_name(f"{path.stem}-caption.txt")


def _diagnostics(plugin: ModuleType) -> Callable[..., Figure | None]:
    """What draws a kind's diagnostics, which most kinds lack."""
    return getattr(plugin, "diagnostics", lambda *_: None)


def _add_title(figure: Figure, title: str) -> None:
    """The title above a figure, in lines of about one length; the figure grows."""
    if title:
        lines = balanced(title, int(figure.get_figwidth() * LETTERS_PER_INCH))
        figure.set_figheight(figure.get_figheight() + TITLE_LINE * (1 + lines.count("\n")))
        figure.suptitle(lines)


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
