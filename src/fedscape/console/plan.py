"""What a dry run says: how many jobs of which stage would run, and why."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fedscape.console.reasons import BELOW, NEW, short_reason

LINES = 50
"""Rows of the table, at most: less than a screen of two."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that would run."""

    stage: str
    reason: str  # as Snakemake says it


def plan_lines(jobs: Iterable[PlannedJob]) -> Iterator[str]:
    """A table of jobs by stage and reason, in the order in which the stages come first, and their sum."""
    counts = Counter((job.stage, short_reason(job.reason)) for job in jobs)
    if not counts:
        return
    stages = list(dict.fromkeys(stage for stage, _ in counts))
    rows = sorted(counts.items(), key=lambda row: (stages.index(row[0][0]), _rank(row[0][1]), -row[1]))
    width = max(len("stage"), *map(len, stages))
    yield f"{'jobs':>6}  {'stage':<{width}}  why"
    for (stage, reason), count in rows[:LINES]:
        yield f"{count:>6}  {stage:<{width}}  {reason}"
    if len(rows) > LINES:
        rest = sum(count for _, count in rows[LINES:])
        yield f"{rest:>6}  {'...':<{width}}  {len(rows) - LINES} more reasons; `--verbose` names each job"
    yield f"{sum(counts.values()):>6}  in all; this was a dry run (-n), nothing was done"


def _rank(reason: str) -> int:
    """What a user has changed first, what follows from it last."""
    return {NEW: 1, BELOW: 2}.get(reason, 0)
