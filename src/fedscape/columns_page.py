"""The columns in results/README.md, written from `columns.py` and `column_meanings.py`.

`python -m fedscape.columns_page` writes them anew between their two marks; a test compares.
"""

from pathlib import Path

from fedscape.column_meanings import MEANINGS
from fedscape.columns import COLUMNS
from fedscape.files import write_text

README = Path(__file__).resolve().parents[2] / "results" / "README.md"
BEGIN, END = "<!-- columns: begin -->", "<!-- columns: end -->"


def columns_page() -> str:
    """A table of columns for each group of files, as Markdown."""
    parts = []
    for files, rows in MEANINGS.items():
        lines = [_row(names.split(), meaning) for names, meaning in rows.items()]
        parts += [f"{files}:", "\n".join(["| column | type | meaning |", "| --- | --- | --- |", *lines])]
    return "\n\n".join(parts) + "\n"


def with_columns(text: str) -> str:
    """A README with the part between its two marks replaced."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{columns_page()}\n{END}{after}"


def _row(names: list[str], meaning: str) -> str:
    columns = [COLUMNS[name] for name in names]
    types = dict.fromkeys(f"{one.type}, {one.unit}" if one.unit else one.type for one in columns)
    return f"| {', '.join(f'`{name}`' for name in names)} | {'; '.join(types)} | {meaning} |"


if __name__ == "__main__":
    write_text(README, with_columns(README.read_text(encoding="utf-8")))
