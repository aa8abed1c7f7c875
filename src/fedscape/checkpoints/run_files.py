"""The runs of a group as an analysis is handed them: what identifies each, and its files."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from fedscape.jobs.job import JobContext


@dataclass(frozen=True)
class RunFiles:
    """One run.

    identity: what the identifying columns of its rows hold. clients: file of its clients' models, where these
    are looked at; partition: its clients' samples, likewise.
    """

    identity: Mapping[str, object]
    trajectory: str | Path
    clients: str | Path | None = None
    partition: str | Path | None = None


def group_runs(context: JobContext, section: str) -> list[RunFiles]:
    """The runs of the group that a job is about, in the order of its settings.

    section: the column that holds the name of the job's entry.
    """
    entry = {section: context.names["name"], "group": context.names["group"]}
    files = [context.inputs.get(name, []) for name in ("trajectories", "clients", "partitions")]
    identities = [{**identity, **entry} for identity in context.identities(context.settings["runs"])]
    return [RunFiles(*row) for row in zip_longest(identities, *files)]
