"""What is said of a study when a call has ended: how its claims came out, and where to look."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PAGES = ("index.html", "figures", "tables")
"""What to open of a study's results: the first that is there."""


def result_lines(folder: Path) -> Iterator[str]:
    """Of the results of a study at a scale (`results/pilot/quick`)."""
    name = " at ".join(folder.parts[-2:])
    verdicts = _verdicts(folder / "tables" / "claims.csv")
    if verdicts:
        counts = ", ".join(f"{verdict} {count}" for verdict, count in verdicts.most_common())
        yield f"{name}: {verdicts.total()} claims: {counts}"
    place = next((folder / page for page in PAGES if (folder / page).exists()), None)
    if place is not None:
        yield f"{name}: {place}"


def _verdicts(claims: Path) -> Counter:
    """How often each verdict stands in claims.csv; none where there is no such file."""
    try:
        with claims.open(encoding="utf-8", newline="") as file:
            return Counter(row["verdict"] for row in csv.DictReader(file))
    except (OSError, KeyError, ValueError):
        return Counter()  # a study without claims, or a file that the tables' own job will name
