"""What is said of a study when a call has ended: how its claims came out, and where to look."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fedscape.command.lenient_readers import all_rows

PAGES = ("index.html", "figures", "tables")
"""What to open of a study's results: the first that is there."""


def result_lines(folder: Path) -> Iterator[str]:
    """Of the results of a study at a scale (`results/pilot/quick`)."""
    name = " at ".join(folder.parts[-2:])
    verdicts = _verdicts(folder / "tables" / "claims.csv")
    if verdicts:
        counts = ", ".join(f"{verdict} {count}" for verdict, count in verdicts.most_common())
        yield f"{name}: {verdicts.total()} claims: {counts}"
    page = next((folder / page for page in PAGES if (folder / page).exists()), None)
    if page is not None:
        yield f"{name}: {page}"


def _verdicts(claims: Path) -> Counter:
    """How often each verdict stands in claims.csv; none where it cannot be read, or a study has no claims."""
    return Counter(row["verdict"] for row in all_rows(claims) if "verdict" in row)
