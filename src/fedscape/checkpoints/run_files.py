"""The files of a run: as it writes them, and as an analysis is handed those of a group."""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class RunOutputs:
    """Paths of the files that a run writes."""

    trajectory: str | Path  # global models of the kept rounds
    clients: str | Path  # clients' models of theirs
    final: str | Path  # the last global model, as a state_dict
    rounds: str | Path  # .csv
    timing: str | Path  # .csv
    run: str | Path  # .json: what the run was


def group_runs(context: JobContext, section: str) -> list[RunFiles]:
    """The runs of the group that a job is about, in the order of its settings.

    section: the column that holds the name of the job's entry.
    """
    entry = {section: context.names["name"], "group": context.names["group"]}
    identities = context.identities(context.settings["runs"])
    absent = [None] * len(identities)
    trajectories = context.inputs["trajectories"]
    clients, partitions = (context.inputs.get(name) or absent for name in ("clients", "partitions"))
    return [
        RunFiles({**identity, **entry}, trajectory, models, partition)
        for identity, trajectory, models, partition in zip(
            identities, trajectories, clients, partitions, strict=True
        )
    ]
