"""A stage: what reaches its jobs, what they read and write, and which jobs a study has of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from fedscape.study import selection
from fedscape.study.grid import Run, runs_of
from fedscape.study.study import Method, Study

Names = Mapping[str, str]
"""A job's wildcards: what its paths call the parts of a study."""
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
    inputs: Callable[[Study, Names], Files]
    """What a job reads; a KeyError for names that the study does not hold."""
    settings: Callable[[Study, Names], dict]
    """What reaches a job, nested, of builtin types; a KeyError as of inputs.

    Paths hold names, settings hold values: renaming a partition and changing its alpha are different things.
    A setting that is not here can neither make a job run again nor change what it does.
    """
    jobs: Callable[[Study], Iterable[Names]]
    """The wildcards of each job of a study, without `study` and `scale`."""
    label: str = ""
    """What tells the jobs apart in the names of logs and benchmarks; empty where there is one."""
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
    """Whether outputs go when the jobs that read them are done."""
    targets: tuple[str, ...] = ()
    """Outputs that are made for their own sake, though no other job may read them."""
    tracks: tuple[str, ...] = ()
    """Stages whose settings and code a job is rerun for, if not its own alone."""

    @property
    def folder(self) -> str:
        """Beneath which its outputs and logs lie."""
        return "results/data" if self.shared else RESULTS

    @property
    def log(self) -> str:
        """Where a job's log lies."""
        return self._labelled("logs", ".log")

    @property
    def benchmark(self) -> str:
        """Where Snakemake writes what a job took."""
        return self._labelled("benchmarks", ".tsv")

    def file(self, study: Study, names: Mapping[str, object], output: str) -> str:
        """One output of a job, by its name."""
        return self.outputs[output].format(study=study.name, scale=study.scale, **names)

    def _labelled(self, folder: str, ending: str) -> str:
        own = folder if self.shared else f"{folder}/{self.logs or self.name}"
        return f"{self.folder}/{own}/{self.label}{ending}" if self.label else f"{self.folder}/{own}{ending}"


@dataclass(frozen=True)
class Entry:
    """An entry of a section that looks at runs, as the study file has it, and what it chose."""

    keys: dict
    members: list  # runs, or pairs of them
    groups: Mapping[str, tuple]
    methods: Mapping[str, Method]
    partitions: Mapping[str, dict]  # as the study file has them
    place: str  # for messages


@dataclass(frozen=True)
class Section:
    """A section of a study file whose entries choose runs and say what is measured on each group of them."""

    name: str
    settings: Callable[[Entry], dict]
    """Of an entry, in the form that its jobs take; a FedscapeError for what cannot be measured."""
    members: Callable[[dict, tuple[Run, ...], selection.Names, str], list] = selection.chosen_runs
    """What an entry chooses from all runs."""
    entry: str = ""
    """What a claim, a table or a figure calls the entry that it is about; empty where none is."""


def of_group(section: str, file: str) -> str:
    """The pattern of a file of each group of an analysis."""
    return f"{RESULTS}/{section}/{{name}}/{{group}}/{file}"


def group_files(
    stage: Stage, output: str, study: Study, name: str | None = None, groups: Iterable[str] = ()
) -> list[str]:
    """One output of a stage for each group of all its entries, or for these groups of one entry."""
    jobs = stage.jobs(study) if name is None else [{"name": name, "group": group} for group in groups]
    return [stage.file(study, names, output) for names in jobs]


def groups(section: str, kind: str | None = None) -> Callable[[Study], Iterator[Names]]:
    """For `jobs`: one for each group of the entries of a section, or of those of one kind."""

    def jobs(study: Study) -> Iterator[Names]:
        for name, analysis in study.analyses[section].items():
            if kind in (None, analysis.settings.get("kind")):
                for group in analysis.groups:
                    yield {"name": name, "group": group}

    return jobs


def analysed(section: str, study: Study, names: Names) -> tuple[Mapping[str, Any], tuple]:
    """The settings of an entry, and the members of a group: runs, or pairs of them."""
    analysis = study.analyses[section][names["name"]]
    return analysis.settings, analysis.groups[names["group"]]


def analysed_runs(section: str, study: Study, names: Names) -> list[Run]:
    """The runs of a group, each once; of pairs, in the order in which these name them."""
    return runs_of(analysed(section, study, names)[1])
