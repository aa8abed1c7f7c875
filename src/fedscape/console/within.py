"""How far a running job is, from the last lines of its log: jobs are not asked, and write nothing for it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fedscape.command.lenient_readers import last_lines

MOST = 32
"""Logs that are looked at, of the jobs that have run longest: a campaign may have a thousand at once."""
# `round 3/10: ...`, `column 2 of 21`, `1 of 8 models`; `run again to continue from ...` is no such line.
_STEP = re.compile(r"(?:[a-z]+ )?(\d+)(?:/| of )(\d+)\b")


def parts_done(logs: Mapping[int, Path]) -> Iterator[tuple[int, float]]:
    """Number and part, from 0 to 1, of each job of which the log says it. logs: by the jobs' numbers."""
    for number, path in list(logs.items())[:MOST]:
        part = part_done(last_lines(path))
        if part is not None:
            yield number, part


def part_done(lines: Iterable[str]) -> float | None:
    """The part of a job that is done, from the last line that counts steps; None where none does."""
    for line in reversed([*lines]):
        if match := _STEP.match(line):
            done, total = map(int, match.groups())
            if total > 0:
                return min(1.0, done / total)
    return None
