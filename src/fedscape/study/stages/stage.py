"""A stage: what reaches its jobs, what they read and write, and which jobs a study has of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Generic, TypeVar

from fedscape.settings.plain import to_plain
from fedscape.study.grid import Member, Run, runs_of
from fedscape.study.selection import Names, selected_runs
from fedscape.study.study import Entry, Study, UnknownName

Settings = TypeVar("Settings")
Value = TypeVar("Value")
Wildcards = Mapping[str, str]
"""What a job's paths call the parts of its study."""
Files = Mapping[str, str | list[str]]
"""A job's inputs by the names that its rule and script have for them."""
RESULTS = "results/{study}/{scale}"


@dataclass(frozen=True)
class Stage:
    """One stage of a study. Snakemake's rule, `-n`, `status`, `why` and `cost` all take it from here.

    Patterns are paths with wildcards in braces.
    """

    name: str
    """Its rule, and the script in workflow/scripts."""
    _: KW_ONLY
    outputs: Mapping[str, str]
    """By the names that rule and script have for them."""
    inputs: Callable[[Study, Wildcards], Files]
    """What a job reads; an UnknownName for what is no job of the study."""
    settings: Callable[[Study, Wildcards], dict]
    """What reaches a job, nested, of builtin types; an UnknownName as of inputs.

    Paths hold names, settings hold values: renaming a partition and changing its alpha are different things.
    A setting that is not here can neither rerun a job nor change what it does.
    """
    jobs: Callable[[Study], Iterable[Wildcards]]
    """The wildcards of each job of a study, each job once, without `study` and `scale`."""
    logs: str = ""
    """Their folder, if it is not the stage's name."""
    resume: str = ""
    """The resume folder of a job that keeps one."""
    section: str = ""
    """The section of a study whose entries its jobs are about, if it is an analysis."""
    gpu: bool = False
    """Whether its jobs compute on a GPU, where there is one."""
    unit: str = "models"
    """What a resume folder of it counts."""
    shared: bool = False
    """Whether its files belong to no study."""
    local: bool = False
    """Whether its jobs run where Snakemake does, not in the queue of a cluster."""
    temporary: bool = False
    """Whether outputs are removed once the jobs that read them are done."""
    targets: tuple[str, ...] = ()
    """Outputs that are made for their own sake, though no other job may read them."""
    labels: tuple[str, ...] = ()
    """Wildcards that may stand for what the study does not define."""
    tracks: tuple[str, ...] = ()
    """Stages whose settings and code a job is rerun for, if not its own alone."""

    @property
    def folder(self) -> str:
        """The folder of its outputs and logs."""
        return "results/data" if self.shared else RESULTS

    @property
    def log(self) -> str:
        """The file of a job's log."""
        return self._labelled("logs", ".log")

    @property
    def benchmark(self) -> str:
        """The file in which Snakemake records a job's seconds and memory."""
        return self._labelled("benchmarks", ".tsv")

    def file(self, study: Study, wildcards: Mapping[str, object], output: str) -> str:
        """One output of a job, by its name."""
        return self.outputs[output].format(study=study.name, scale=study.scale, **wildcards)

    def _labelled(self, folder: str, ending: str) -> str:
        own = folder if self.shared else f"{folder}/{self.logs or self.name}"
        return f"{self.folder}/{own}/{self._label}{ending}" if self._label else f"{self.folder}/{own}{ending}"

    @property
    def _label(self) -> str:
        """What tells the jobs apart in the names of logs and benchmarks; empty where there is one."""
        path = next(iter(self.outputs.values())).removeprefix(RESULTS)
        return "_".join(part[: part.rindex("}") + 1] for part in path.split("/") if "}" in part)


@dataclass(frozen=True)
class Section(Generic[Settings]):
    """A section of a study file whose entries select runs and say what is measured on each group of them."""

    name: str
    settings: Callable[[Entry], Settings]
    """What an entry asks for; a FedscapeError for what cannot be measured."""
    members: Callable[[Mapping, tuple[Run, ...], Names, str], Sequence[Member]] = selected_runs
    """What an entry selects from all runs."""
    plain: Callable[[Settings], dict] = to_plain
    """The settings as builtin types."""
    parts: Callable[[Settings], int] = lambda settings: 1
    """How many jobs share a group."""
    entry: str = ""
    """What a claim, a table or a figure calls the entry that it is about; empty where none is."""


@dataclass(frozen=True)
class Group(Generic[Settings]):
    """A group of runs, or of pairs of runs, of an entry: what a job of an analysis is about."""

    study: Study
    wildcards: Wildcards
    settings: Settings
    """Of the entry."""
    members: tuple[Member, ...]

    @property
    def runs(self) -> list[Run]:
        """The runs, each once; of pairs, in the order in which these name them."""
        return runs_of(self.members)


@dataclass(frozen=True)
class Groups(Generic[Settings]):
    """The groups of all entries of a section whose settings are of one type; a stage has a job for each."""

    section: str
    of: type[Settings]

    def file(self, name: str) -> str:
        """The pattern of a file of each group."""
        return f"{RESULTS}/{self.section}/{{name}}/{{group}}/{name}"

    def jobs(self, study: Study) -> Iterator[dict[str, str]]:
        """For `jobs` of a stage."""
        for name, analysis in study.analyses[self.section].items():
            if isinstance(analysis.settings, self.of):
                for group in analysis.groups:
                    yield {"name": name, "group": group}

    def group(self, study: Study, wildcards: Wildcards) -> Group[Settings]:
        """The group that a job is about; an UnknownName if it is about none of these."""
        name = wildcards["name"]
        analysis = study.analyses[self.section][name]
        if not isinstance(analysis.settings, self.of):
            raise UnknownName(f"{name} of kind {analysis.settings.kind}")
        return Group(study, wildcards, analysis.settings, analysis.groups[wildcards["group"]])

    def each(self, function: Callable[[Group[Settings]], Value]) -> Callable[[Study, Wildcards], Value]:
        """For `inputs` and `settings` of a stage: a function of the group that a job is about."""
        return lambda study, wildcards: function(self.group(study, wildcards))


def group_files(
    stage: Stage, output: str, study: Study, name: str | None = None, groups: Iterable[str] = ()
) -> list[str]:
    """One output of a stage for each group of all its entries, or for these groups of one entry."""
    jobs = stage.jobs(study) if name is None else [{"name": name, "group": group} for group in groups]
    return [stage.file(study, wildcards, output) for wildcards in jobs]
