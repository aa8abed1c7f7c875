"""`fedscape figure FILE`: one figure of a study, drawn again from its CSVs in another style."""

import os
import re
from pathlib import Path

from fedscape.command.repository import enter_repository, study_here
from fedscape.errors import FedscapeError, printable
from fedscape.figures.draw import WRITTEN, Content, caption_file, diagnostics_files, write_figure
from fedscape.figures.looks import Labels
from fedscape.figures.medium import WIDTHS, Style
from fedscape.figures.style import METADATA
from fedscape.plugins import Plugin
from fedscape.study.grid import as_list
from fedscape.study.stages.figures import FIGURE
from fedscape.study.types import unknown

UNITS = {"mm": 1.0, "cm": 10.0, "in": 25.4}  # in mm
_WIDTH = re.compile(r"(\d+(?:\.\d+)?)(mm|cm|in)?")


def figure(file: str, use: str | None, width: str | None, to: str | None) -> int:
    """Draw a figure of results, and print the names of the files that were written.

    file: a figure in `results/{study}/{scale}/figures`, whether it is there or not. use, width: of its style;
    without them those of the study. to: by default a PDF in the current folder, by the figure's name.
    """
    start = enter_repository()
    path = Path(os.path.relpath(start / file))
    if len(path.parts) != 5 or (path.parts[0], path.parts[3]) != ("results", "figures"):
        raise FedscapeError(f"{path}: no figure; name a file of results/<study>/<scale>/figures")
    _, name, scale, _, _ = path.parts
    study = study_here(name, [f"scale={scale}"])
    if path.stem not in study.figures:
        raise FedscapeError(f"{path}: {unknown('figure', path.stem, study.figures)}")
    wildcards = {"figure": path.stem}
    inputs = {key: list(map(Path, as_list(paths))) for key, paths in FIGURE.inputs(study, wildcards).items()}
    missing = [csv for csvs in inputs.values() for csv in csvs if not csv.is_file()]
    if missing:
        raise FedscapeError(
            f"{missing[0]}: not there yet, and {path.stem} is drawn from it; `snakemake {path}` makes it"
        )
    settings = FIGURE.settings(study, wildcards)
    kind = Plugin.of(settings["figure"])
    content = Content(
        kind.kind,
        kind.settings,
        inputs,
        dict(settings["where"]),
        Labels.of(settings["labels"], settings["numbers"]),
    )
    target = start / to if to else start / f"{path.stem}.pdf"
    if target.suffix.removeprefix(".").lower() not in METADATA:
        raise FedscapeError(f"--to {to}: write {', '.join(f'.{ending}' for ending in METADATA)}")
    style = _style(settings["style"], use, width)
    _refuse_foreign_files(target, style)
    caption = study.figures[path.stem].caption
    for written in write_figure(content, settings["title"], style, [target], caption):
        print(printable(os.path.relpath(written, start)))
    return 0


def _refuse_foreign_files(target: Path, style: Style) -> None:
    """Refuse to overwrite files beside a figure in print that no such figure left there."""
    text = caption_file(target)
    if style.use == "screen" or (text.is_file() and WRITTEN in text.read_text("utf-8", "replace")):
        return
    for path in (text, *diagnostics_files([target])):
        if path.exists():
            raise FedscapeError(f"{path}: is there, and not fedscape's; move it away or choose another --to")


def _style(own: dict, use: str | None, width: str | None) -> Style:
    """The style of the study's figure with what the command says."""
    if width is None:
        return Style(**{**own, **({"use": use} if use else {})})
    use = use or "print"
    match = _WIDTH.fullmatch(width.strip())
    try:
        if not match or use == "screen":
            raise ValueError
        return Style("print", float(match[1]) * UNITS[match[2] or "mm"])
    except ValueError:
        raise FedscapeError(
            f"--width {width}: {WIDTHS[0]:g}mm to {WIDTHS[1]:g}mm, with --style print; a screen has no width"
        ) from None
