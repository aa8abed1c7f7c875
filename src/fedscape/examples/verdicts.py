"""How many claims of each example hold, in the README: in a sentence and in a table.

`python -m fedscape.examples.verdicts` counts them anew between their marks; a test compares.
"""

from pathlib import Path

import pandas as pd

from fedscape.examples.page import with_part
from fedscape.files import write_text
from fedscape.tables.cases import NOT_RUN_HERE
from fedscape.tables.claims import HOLDS, HOLDS_WITHIN_NOISE, VERDICTS

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "README.md"
SHOWN = [verdict for verdict in VERDICTS if verdict != NOT_RUN_HERE]


def with_verdicts(text: str) -> str:
    """A README with what the examples' claims came to, in its sentence and in its table."""
    counts = _counts()
    text = with_part(text, "held", _sentence(counts), README)
    return with_part(text, "verdicts", _table(counts), README)


def _counts() -> dict[str, dict[str, int]]:
    """By example: how many claims have a verdict, by the verdicts that are shown."""
    counts = {}
    for file in sorted(ROOT.glob("docs/examples/*/tables/claims.csv")):
        verdicts = pd.read_csv(file)["verdict"].tolist()
        counts[file.parents[1].name] = {verdict: verdicts.count(verdict) for verdict in SHOWN}
    return counts


def _sentence(counts: dict[str, dict[str, int]]) -> str:
    studies = ", ".join(
        f"{_study(example)} {numbers[HOLDS] + numbers[HOLDS_WITHIN_NOISE]} of {sum(numbers.values())}"
        for example, numbers in counts.items()
    )
    return f"**Claims that hold at scale `small`, on two CPU cores**, within noise included: {studies}."


def _table(counts: dict[str, dict[str, int]]) -> str:
    lines = [
        _row(["study", "claims tested", *SHOWN]),
        _row(["---", *["---:"] * (1 + len(SHOWN))]),
    ]
    for example, numbers in counts.items():
        study = f"[{_study(example)}](docs/examples/{example}/README.md)"
        lines.append(_row([study, *map(str, [sum(numbers.values()), *numbers.values()])]))
    return "\n".join(lines)


def _study(example: str) -> str:
    return example.rpartition("-")[0]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    write_text(README, with_verdicts(README.read_text(encoding="utf-8")))
