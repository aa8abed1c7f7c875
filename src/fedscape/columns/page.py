"""The columns in results/README.md, from the families that describe them.

`python -m fedscape.columns.page` writes them anew between their two marks; a test compares.
"""

import ast
from pathlib import Path

from fedscape.columns.column import column_name
from fedscape.columns.kinds import COLUMNS
from fedscape.files import write_text

FOLDER = Path(__file__).resolve().parent
README = FOLDER.parents[2] / "results" / "README.md"
BEGIN, END = "<!-- columns: begin -->", "<!-- columns: end -->"
ORDER = ("shared", "runs", "planes", "connectivity", "curvature", "drift", "tables")
"""Of the modules, as one reads them."""


def meanings() -> dict[str, dict[tuple[str, ...], str]]:
    """By family, which files it is of in words; by columns that are explained together, what they mean."""
    families = {}
    for module in ORDER:
        tree = ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8"))
        for family in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            families[_in_one_line(ast.get_docstring(family) or "")] = _rows(family)
    return families


def columns_page() -> str:
    """A table of columns for each family, as Markdown."""
    parts = []
    for files, rows in meanings().items():
        lines = [_row(names, meaning) for names, meaning in rows.items()]
        parts += [f"{files}:", "\n".join(["| column | type | meaning |", "| --- | --- | --- |", *lines])]
    return "\n\n".join(parts) + "\n"


def with_columns(text: str) -> str:
    """A README with the part between its two marks replaced."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{columns_page()}\n{END}{after}"


def _rows(family: ast.ClassDef) -> dict[tuple[str, ...], str]:
    """The names that stand above each text in a family's class, and the text."""
    rows: dict[tuple[str, ...], str] = {}
    names: list[str] = []
    for node in family.body:
        if isinstance(node, ast.AnnAssign):
            names.append(column_name(ast.unparse(node.target)))
        elif names and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            rows[tuple(names)] = _in_one_line(node.value.value)
            names = []
    return rows


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _row(names: tuple[str, ...], meaning: str) -> str:
    columns = [COLUMNS[name] for name in names]
    types = dict.fromkeys(f"{one.type}, {one.unit}" if one.unit else one.type for one in columns)
    return f"| {', '.join(f'`{name}`' for name in names)} | {'; '.join(types)} | {meaning} |"


if __name__ == "__main__":
    write_text(README, with_columns(README.read_text(encoding="utf-8")))
