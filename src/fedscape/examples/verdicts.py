"""How many claims of each example hold, in the README.

`python -m fedscape.examples.verdicts` counts them anew between their two marks; a test compares.
"""

from pathlib import Path

import pandas as pd

from fedscape.examples.page import with_part
from fedscape.files import write_text
from fedscape.tables.cases import NOT_RUN_HERE
from fedscape.tables.claims import VERDICTS

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "README.md"


def with_verdicts(text: str) -> str:
    """A README with the table of verdicts replaced: a row for each example, a column for each verdict."""
    files = sorted(ROOT.glob("docs/examples/*/tables/claims.csv"))
    shown = [verdict for verdict in VERDICTS if verdict != NOT_RUN_HERE]
    lines = [
        _row(["study", "claims tested", *shown]),
        _row(["---", *["---:"] * (1 + len(shown))]),
    ]
    for file in files:
        example = file.parents[1]
        counts = pd.read_csv(file)["verdict"].value_counts()
        numbers = [counts.get(verdict, 0) for verdict in shown]
        name = example.name.rpartition("-")[0]
        lines.append(
            _row([f"[{name}](docs/examples/{example.name}/README.md)", str(sum(numbers)), *map(str, numbers)])
        )
    return with_part(text, "verdicts", "\n".join(lines), README)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    write_text(README, with_verdicts(README.read_text(encoding="utf-8")))
