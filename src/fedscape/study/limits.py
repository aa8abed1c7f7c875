"""Limits of a study's size: generous for campaigns, small enough that a slip is a line and no hang."""

import math
from collections.abc import Iterable, Mapping, Sequence

from fedscape.errors import FedscapeError
from fedscape.study.grid import RUN_KEYS, as_list

MOST_POINTS = 1_000  # of a method's grid
MOST_METHODS = 2_000  # grid points counted
MOST_RUNS = 20_000  # at a scale
MOST_PAIRS = 100_000  # of models, in an entry of `connectivity`
MOST_JOBS = 200_000  # of analyses, in a section
MOST_KEPT = 10_000  # models of a run, where they are not all kept
LONGEST_CHAIN = 100  # starts that continue one another; Python's stack holds a thousand calls
MOST_LOOKS = 10_000_000  # at a run, to tell whether a selection takes it: seconds
LONGEST_NAME = 255  # bytes of a file's name, on Linux and macOS
AROUND = 32  # bytes beside the names of a study in it, such as `_100-of-100.log` or `.` and `.1234567.tmp`


def check_count(count: int, most: int, what: str, where: str) -> None:
    """Refuse more of something than there may be; what: for example `runs`."""
    if count > most:
        raise FedscapeError(f"{where}: {count} {what}, at most {most} are possible")


def check_crossed(entries: Sequence[Mapping], every: Mapping[str, list], where: str) -> None:
    """Refuse too many runs, and none, before they are written out; arguments as of `grid.crossed`."""
    counts = [math.prod(len(as_list(entry.get(key, every[key]))) for key in RUN_KEYS) for entry in entries]
    check_count(sum(counts), MOST_RUNS, "runs", f"{where}: runs")
    if not any(counts):
        missing = next(key for key in RUN_KEYS if not every[key])
        raise FedscapeError(f"{where}: runs: there are none, since the study has no {missing}")


def check_selections(
    content: Mapping, sections: Iterable[str], runs: int, every: Mapping[str, list], where: str
) -> None:
    """Refuse selections that are too many to compare with every one of the runs.

    sections: whose entries select runs.
    """
    for section in sections:
        entries = content.get(section, ())
        listed = entries.values() if isinstance(entries, Mapping) else entries
        looks = runs * sum(_selections(entry, every) for entry in listed)
        if looks > MOST_LOOKS:
            raise FedscapeError(
                f"{where}: {section}: too many selections ({looks // runs}) from {runs} runs; at most "
                f"{MOST_LOOKS // runs} are possible"
            )


def check_name(names: Sequence[str], where: str) -> None:
    """Refuse names that a file is called after together, if its name is longer than file systems take."""
    length = len("_".join(names).encode()) + AROUND
    if length > LONGEST_NAME:
        raise FedscapeError(
            f"{where}: its files would have names of {length} bytes, at most {LONGEST_NAME} are possible; "
            f"shorten one of {', '.join(dict.fromkeys(names))}"
        )


def _selections(entry: Mapping, every: Mapping[str, list]) -> int:
    """How often an entry of a section looks at every run."""
    if "rows" in entry and "columns" in entry:
        sides = (entry["rows"], entry["columns"])
        return math.prod(len(every[side] if isinstance(side, str) else side) for side in sides)
    return len(as_list(entry.get("runs", entry.get("cases")))) * len(as_list(entry.get("rounds")))
