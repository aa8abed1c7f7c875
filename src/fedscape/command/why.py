"""`fedscape why FILE`: what has changed since a result was made."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedscape.command.repository import clone, enter_repository, read_settings
from fedscape.errors import FedscapeError, printable
from fedscape.jobs.recorded import Record, check_records, record_of
from fedscape.regular import open_regular
from fedscape.study.campaign import Campaign, read_study
from fedscape.study.jobs import Job, dataset_job, jobs_of
from fedscape.study.stages.every import STAGES
from fedscape.study.tracked import tracked

SCRIPTS = Path("workflow", "scripts")
UP_TO_DATE = "up to date"
Strings = Callable[[Job], list[str]]  # what a job would be made with today
_BLOCK = 1 << 20  # bytes hashed at a time


def why(file: str, changes: Sequence[str], configfiles: Sequence[str]) -> int:
    """Print a line per difference, of the file's job and of those that it is made from, or `up to date`."""
    start = enter_repository()
    path = os.path.relpath(start / file)
    config = read_settings(None, changes, configfiles)
    parts = Path(path).parts
    if parts[:1] != ("results",) or len(parts) < 4:
        raise FedscapeError(f"{path}: no result; name a file below results/")
    known, jobs, owner = _data(config) if parts[1] == "data" else today(config, *parts[1:3])
    makers = {output: job for job in jobs for output in job.outputs}
    if path not in makers:
        raise FedscapeError(f"{path}: no job of {owner} makes this file today")
    check_records()
    lines = list(dict.fromkeys(_differences(known, makers, path, set())))
    print("\n".join(map(printable, lines or [UP_TO_DATE])))
    return 0


def today(config: dict, name: str, scale: str) -> tuple[Strings, list[Job], str]:
    """What the jobs of a study are made with today, its jobs, and what to call them."""
    study = read_study(Path.cwd(), {**config, "study": name, "scale": scale}, clone())
    return _strings(study), jobs_of(study), f"{name} at {scale}"


def _data(config: dict) -> tuple[Strings, list[Job], str]:
    """The same for data sets, which belong to no study."""
    campaign = Campaign(Path.cwd(), config, clone())
    return _strings(campaign), [dataset_job(name) for name in campaign.datasets], "any data set"


def _strings(owner: Any) -> Strings:
    """What the rules pass to a job today, by the homes of its stages.

    owner: a study, or of data sets, which belong to none, the campaign.
    """

    scripts = clone() / SCRIPTS

    def strings(job: Job) -> list[str]:
        stages = STAGES[job.rule].tracks or (job.rule,)
        return [
            text
            for stage in stages
            for text in tracked(stage, STAGES[stage].settings(owner, job.names), scripts)
        ]

    return strings


def _differences(known: Strings, makers: Mapping[str, Job], path: str, seen: set[str]) -> Iterator[str]:
    """What differs for a file and, before it, for what it is made from; each job is looked at once."""
    job = makers[path]
    if job.outputs[0] in seen:
        return
    seen.add(job.outputs[0])
    for source in filter(makers.__contains__, job.inputs):
        yield from _differences(known, makers, source, seen)
    missing = [output for output in job.outputs if _time(output) is None]
    if missing:
        if not job.temporary:
            yield f"{missing[0]}: not there"
        return
    record = record_of(path) or record_of(job.outputs[0])
    if record is None:
        yield f"{path}: Snakemake has no record of what made it"
        return
    if record.is_void:
        yield f"{path}: no Snakemake was there when its job ended; the next run puts that on record"
        return
    yield from (f"{path}: {line}" for line in _changes(known(job), record))
    yield from (f"{path}: {line}" for line in _inputs(job, record))


def _changes(today: Sequence[str], record: Record) -> Iterator[str]:
    """Differences in settings and code between then and now."""
    if record.spelled == (repr([*today]),):  # as nearly always; to read what was recorded takes far longer
        return
    then, now = _by_name(record.params), _by_name(today)
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            yield f"{name}: {then.get(name, 'not there')} -> {now.get(name, 'not there')}"


def _by_name(strings: Sequence[str]) -> dict[str, str]:
    """Values by name; a job with several lists of settings has several digests of code, in order."""
    values: dict[str, dict[str, None]] = {}
    for text in strings:
        name, _, value = text.partition("=")
        values.setdefault(name, {})[value] = None
    return {name: " ".join(sorted(several)) for name, several in values.items()}


def _inputs(job: Job, record: Record) -> Iterator[str]:
    """Files that it is made from: others than then, or changed since."""
    yield from (f"no longer made from {path}" for path in sorted({*record.inputs} - {*job.inputs}))
    yield from (f"now also made from {path}" for path in sorted({*job.inputs} - {*record.inputs}))
    oldest = min(time for time in map(_time, job.outputs) if time is not None)
    for path in sorted({*job.inputs} & {*record.inputs}):
        time = _time(path)
        if time is not None and time > oldest and not _same(path, record):
            yield f"{path} has changed since"


def _time(path: str) -> float | None:
    """When a file was written, None if it is not there."""
    try:
        return os.stat(path).st_mtime  # noqa: PTH116 (a third of pathlib's time, of thousands of files)
    except OSError:
        return None


def _same(path: str, record: Record) -> bool:
    """Whether an input that is newer has the content that it had then, where that was recorded."""
    if path not in record.checksums:
        return False
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return False
    return record.checksums[path].removeprefix("sha256:") == digest.hexdigest()
