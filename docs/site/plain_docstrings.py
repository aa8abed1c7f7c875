"""Docstrings as reStructuredText; as they are, they are plain text with `code` and indented examples."""

import re

from sphinx.application import Sphinx


def _as_restructured_text(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Escape what would be markup, in place; an indented block after a colon is an example."""
    for index, line in enumerate(lines):
        if line.startswith("    "):
            continue
        if line.endswith(":") and lines[index + 1 : index + 2] == [""]:
            lines[index] = line = f"{line}:"
        pieces = re.split(r"(`[^`]*`)", line)
        pieces[::2] = [re.sub(r"([*|])", r"\\\1", piece) for piece in pieces[::2]]
        lines[index] = "".join(pieces)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls for an extension."""
    app.connect("autodoc-process-docstring", _as_restructured_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
