"""The columns in results/README.md, from the families that describe them.

`python -m fedscape.columns.readme` writes them anew between their two marks; a test compares.
"""

import ast
import inspect
from importlib import import_module
from pathlib import Path

from fedscape.columns.column import File, column_name, described
from fedscape.columns.kinds import FILES
from fedscape.files import write_text

FOLDER = Path(__file__).resolve().parent
README = FOLDER.parents[2] / "results" / "README.md"
BEGIN, END = "<!-- columns: begin -->", "<!-- columns: end -->"


def families() -> list[type]:
    """Those of `FILES` as they stand there, then those of files beside this one that only people read."""
    modules = [
        import_module(f"fedscape.columns.{path.stem}")
        for path in sorted(FOLDER.glob("*.py"))
        if path.stem != "__init__"
    ]
    others = [value for module in modules for value in vars(module).values() if isinstance(value, File)]
    return list(dict.fromkeys(family for file in (*FILES.values(), *others) for family in file.families))


def meanings(family: type) -> dict[tuple[str, ...], str]:
    """What a family's columns mean, by names above a text, which explains them together."""
    rows: dict[tuple[str, ...], str] = {}
    names: list[str] = []
    (definition,) = ast.parse(inspect.getsource(family)).body
    for node in ast.iter_child_nodes(definition):
        if isinstance(node, ast.AnnAssign):
            names.append(column_name(ast.unparse(node.target)))
        elif names and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            rows[tuple(names)] = _in_one_line(str(node.value.value))
            names = []
    return rows


def columns_page() -> str:
    """A table of columns for each family, as Markdown."""
    parts = []
    for family in families():
        lines = [_row(family, names, meaning) for names, meaning in meanings(family).items()]
        parts.append(f"{_in_one_line(inspect.getdoc(family) or '')}:")
        parts.append("\n".join(["| column | type | meaning |", "| --- | --- | --- |", *lines]))
    return "\n\n".join(parts) + "\n"


def with_columns(text: str) -> str:
    """A README with the part between its two marks replaced."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{columns_page()}\n{END}{after}"


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _row(family: type, names: tuple[str, ...], meaning: str) -> str:
    columns = [described(family)[name] for name in names]
    types = dict.fromkeys(", ".join(filter(None, (column.type, column.unit))) for column in columns)
    return f"| {', '.join(f'`{name}`' for name in names)} | {'; '.join(types)} | {meaning} |"


if __name__ == "__main__":
    write_text(README, with_columns(README.read_text(encoding="utf-8")))
