"""Tables in Markdown, and text of a study within it."""

import re

# What would begin a cell, emphasis (`_` not within a word), code or, as `](`, a link; `\\` itself. What would
# be HTML is spelled out.
_MARKS = re.compile(r"[\\|*`~]|(?<![^\W_])_|_(?![^\W_])|(?<=\])\(")
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;"})


def escaped(text: str) -> str:
    """Text of a study as it stands, in one line of Markdown: labels, titles and claims may hold anything."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return _MARKS.sub(r"\\\g<0>", line.translate(_HTML))


def markdown_table(header: list[str], lines: list[list[str]], texts: int) -> str:
    """A GitHub table that also reads as plain text; the columns after the first `texts` are numbers.

    Cells are text, which is escaped here.
    """
    header, *lines = [[escaped(cell) for cell in line] for line in [header, *lines]]
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]

    def row(cells: list[str]) -> str:
        padded = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    # Two hyphens at least and a colon on the right side are what GitHub's tables ask for.
    rule = ["-" * width if i < texts else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([row(header), row(rule), *map(row, lines)])
