"""Every job of a study, from the homes of the stages: what it reads and writes, and where its log is.

For what looks at a whole study without starting Snakemake (`fedscape status`, `cost`). A test compares these
jobs with those of the rules.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fedscape.study.grid import as_list
from fedscape.study.stages.data import DATASET
from fedscape.study.stages.every import STAGES
from fedscape.study.stages.stage import Stage, Wildcards
from fedscape.study.study import Study, UnknownName

_WILDCARD = re.compile(r"{(\w+)}")


# Where a study has what a wildcard names.
_HELD = {
    "dataset": "images", "model": "models", "partition": "partitions", "init": "inits", "method": "methods",
    "figure": "figures", "table": "tables",
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One job. Its wildcards stand in the order of its first output's path, as Snakemake has them."""

    rule: str
    wildcards: Wildcards
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    log: str
    resume: str | None = None  # its resume folder, if it has one
    temporary: bool = False  # its outputs go when the jobs that read them are done

    @property
    def local(self) -> bool:
        """Whether it runs where Snakemake does."""
        return STAGES[self.rule].local

    @property
    def names(self) -> Wildcards:
        """What its paths call the parts of its study, as the homes of the stages take it."""
        return job_names(self.wildcards)

    @property
    def label(self) -> str:
        """What tells it from the other jobs of its rule, for people."""
        return "/".join(f"seed{value}" if key == "seed" else value for key, value in self.names.items())


def job_names(wildcards: Wildcards) -> Wildcards:
    """A job's wildcards without the study and the scale, which all of its study's jobs share."""
    return {key: value for key, value in wildcards.items() if key not in ("study", "scale")}


def check_job_names(stage: Stage, owner: Any, names: Wildcards) -> None:
    """Raise UnknownName for the first name in a job's paths that its study does not hold.

    Any run of a study's parts is a job, whether the study asks for it or not; of analyses, those that it has.
    owner: the study, or of a stage that belongs to none, the campaign.
    """
    held = {"dataset": "datasets"} if stage.shared else _HELD
    for wildcard, name in names.items():
        if wildcard in held and wildcard not in stage.labels and name not in getattr(owner, held[wildcard]):
            raise UnknownName(name)
    # A job of another stage may be rerun for the settings of this one, and have more names.
    own = {wildcard: names[wildcard] for wildcard in _wildcards(stage) if wildcard in names}
    if stage.section and own not in stage.jobs(owner):
        raise UnknownName("/".join(own.values()))


def jobs_of(study: Study) -> list[Job]:
    """All jobs of a study, each after those whose files it reads."""
    jobs = [
        _job(stage, names, stage.inputs(study, names), None if stage.shared else study)
        for stage in STAGES.values()
        for names in stage.jobs(study)
    ]
    makers = {path: job for job in jobs for path in job.outputs}
    ordered: dict[str, Job] = {}  # by first output

    def add(job: Job) -> None:
        if job.outputs[0] not in ordered:
            for path in job.inputs:
                if path in makers:
                    add(makers[path])
            ordered[job.outputs[0]] = job

    for job in jobs:
        add(job)
    return list(ordered.values())


def dataset_job(dataset: str) -> Job:
    """The job that prepares a data set, which belongs to no study."""
    return _job(DATASET, {"dataset": dataset}, {})


def targets(study: Study) -> list[str]:
    """Everything that a study is made for: figures, tables, final models, surfaces."""
    return [
        stage.file(study, names, output)
        for stage in STAGES.values()
        if stage.targets
        for names in stage.jobs(study)
        for output in stage.targets
    ]


def levels(jobs: Iterable[Job]) -> int:
    """How many jobs of a cluster wait for one another in the longest chain; local ones wait in no queue.

    jobs: each after those whose files it reads.
    """
    depth: dict[str, int] = {}
    for job in jobs:
        deepest = max((depth.get(path, 0) for path in job.inputs), default=0)
        depth.update(dict.fromkeys(job.outputs, deepest + (not job.local)))
    return max(depth.values(), default=0)


def _job(
    stage: Stage, names: Wildcards, inputs: Mapping[str, str | list[str]], study: Study | None = None
) -> Job:
    """A job of a stage, of a study if it belongs to one."""
    known = {**({"study": study.name, "scale": study.scale} if study else {}), **names}
    files = [path for paths in inputs.values() for path in as_list(paths)]
    return Job(
        rule=stage.name,
        wildcards={name: known[name] for name in _wildcards(stage)},
        outputs=tuple(pattern.format(**known) for pattern in stage.outputs.values()),
        inputs=tuple(dict.fromkeys(files)),
        log=stage.log.format(**known),
        resume=stage.resume.format(**known) or None,
        temporary=stage.temporary,
    )


def _wildcards(stage: Stage) -> list[str]:
    """The wildcards of a stage, in the order of its first output's path."""
    first, *_ = stage.outputs.values()
    return list(dict.fromkeys(_WILDCARD.findall(first)))
