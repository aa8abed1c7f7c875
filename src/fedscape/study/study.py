"""A study at a scale: typed, checked, with its grid of runs. What the rules ask questions of."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from fedscape.plugins import Plugin
from fedscape.settings.claims import Claim
from fedscape.settings.imports import MeasuredResult
from fedscape.settings.preprocessing import Preprocessing
from fedscape.settings.tables import PaperTable
from fedscape.settings.training import TrainingSettings
from fedscape.study.grid import Member, Run

Settings = TypeVar("Settings")
Value = TypeVar("Value")


class UnknownName(KeyError):
    """A name, of a part of a study or of a job, that a study does not hold: what a user may ask for."""


class Named(dict[str, Value]):
    """Parts of a study by their names."""

    def __missing__(self, name: str) -> Value:
        raise UnknownName(name)


@dataclass(frozen=True)
class DatasetEntry(Plugin):
    """What reads a data set, and what becomes of its images."""

    preprocessing: Preprocessing = field(default_factory=Preprocessing)


@dataclass(frozen=True)
class PartitionEntry:
    """One way to deal samples to clients; `seed` pins the split for the runs of every seed."""

    scheme: Plugin
    clients: int | None
    seed: int | None


@dataclass(frozen=True)
class Init:
    """One start; `seed` pins it for the runs of every seed."""

    start: Plugin
    seed: int | None

    def seed_of(self, seed: int) -> int:
        """The seed of the start of a run with this seed."""
        return seed if self.seed is None else self.seed

    def source(self, dataset: str, model: str, seed: int) -> Run | None:
        """The run that an `after-round` start of a run continues, or None for other kinds.

        dataset, model, seed: of the run that starts.
        """
        if self.start.kind != "after-round":
            return None
        partition, init, method = (self.start.settings[key] for key in ("partition", "init", "method"))
        return Run(dataset, model, partition, init, method, self.seed_of(seed))


@dataclass(frozen=True)
class Method:
    """One way to train."""

    training: TrainingSettings
    algorithm: Plugin
    server: Plugin
    keep_rounds: list[int] | Literal["all"]  # ascending
    client_rounds: list[int]
    client_paths: bool  # whether the clients' ways through these rounds are kept too
    order_seed: int | None
    base: str  # the method's name without a grid point

    @property
    def rounds(self) -> int:
        """The last round."""
        return self.training.rounds

    def keeps(self, number: int) -> bool:
        """Whether the global model after round `number` is kept."""
        return self.keep_rounds == "all" or _holds(self.keep_rounds, number)


@dataclass(frozen=True)
class ImportedMethod:
    """What is known of a method by which runs were trained elsewhere: which of their models there are."""

    keep_rounds: list[int]  # ascending
    client_rounds: list[int]
    base: str  # its name

    @property
    def rounds(self) -> int:
        """The last round."""
        return self.keep_rounds[-1]

    @property
    def client_paths(self) -> bool:
        """No models of clients between their epochs."""
        return False

    def keeps(self, number: int) -> bool:
        """Whether there is a global model of round `number`."""
        return _holds(self.keep_rounds, number)


AnyMethod = Method | ImportedMethod


@dataclass(frozen=True)
class ImportedRun:
    """The files that hold the models of a run that was trained elsewhere."""

    rounds: tuple[int, ...]  # of the global models, ascending
    models: tuple[str, ...]  # a file for each round, or one for all
    clients: tuple[tuple[int, int], ...]  # round and number of each client's model, ascending
    client_models: tuple[str, ...]  # likewise a file for each, or one for all
    names: tuple[tuple[str, str | None], ...]  # what files call a part of the network, what it calls it
    measured: MeasuredResult | None = None  # what its owner knows of a model, if anything

    @property
    def client_rounds(self) -> list[int]:
        """Rounds of which there are clients' models, ascending."""
        return list(dict.fromkeys(number for number, _ in self.clients))


def _holds(ascending: Sequence[int], number: int) -> bool:
    position = bisect_left(ascending, number)
    return position < len(ascending) and ascending[position] == number


@dataclass(frozen=True)
class Entry:
    """An entry of a section that looks at runs, as the study file has it, and what it selects."""

    keys: Mapping[str, Any]
    members: Sequence[Member]
    groups: Mapping[str, tuple[Member, ...]]
    methods: Mapping[str, AnyMethod]
    partitions: Mapping[str, PartitionEntry]
    where: str  # for messages


@dataclass(frozen=True)
class Analysis(Generic[Settings]):
    """An entry of a section that looks at runs, checked: what to compute for which of them."""

    settings: Settings
    groups: Mapping[str, tuple[Member, ...]]


Analyses = Mapping[str, Mapping[str, Analysis[Any]]]
"""Of a study: section, which knows the type of the settings -> name -> entry."""


@dataclass(frozen=True)
class NoSettings:
    """Settings of an entry that says which runs it looks at, and nothing else."""

    @classmethod
    def of(cls, entry: Entry) -> "NoSettings":
        """For `settings` of a section."""
        return cls()


@dataclass(frozen=True)
class Figure:
    """One figure: a kind, where its numbers come from, and which runs it shows."""

    kind: Plugin
    title: str
    caption: str  # how to read it, and what the study adds
    source: str  # "plane" | "connectivity" | "curvature" | "table" | "partitions"
    name: str | list[str]  # of the source's entry; for partitions, names of them
    where: Mapping[str, list]
    groups: tuple[str, ...]  # groups of the source that it draws, where the source has groups
    style: Mapping[str, object]  # what it is drawn for: `use`, and for print `width` in mm


@dataclass(frozen=True)
class Study:
    """Everything that a study file says at one scale."""

    name: str
    scale: str
    title: str
    paper: str
    images: Mapping[str, int | None]  # data set -> training samples that are used; None: all
    test_images: Mapping[str, int | None]  # likewise of the test samples
    validation: float
    datasets: Mapping[str, DatasetEntry]  # proxies of starts included
    models: Mapping[str, Plugin]
    partitions: Mapping[str, PartitionEntry]
    inits: Mapping[str, Init]
    methods: Mapping[str, AnyMethod]
    runs: tuple[Run, ...]
    imports: Mapping[str, ImportedRun]  # path of a run that was trained elsewhere -> its files
    analyses: Analyses
    figures: Mapping[str, Figure]
    claims: tuple[Claim, ...]
    claim_figures: tuple[tuple[str, ...], ...]  # of each claim, the figures that show it
    tables: Mapping[str, PaperTable]
    labels: list[dict]  # what figures call runs: `{label, where}`, the first that matches
    grids: Mapping[str, str]  # method that is a grid point -> its values, such as `lr=0.1;mu=1`

    @property
    def folder(self) -> str:
        """Where everything of this study at this scale lies."""
        return f"results/{self.name}/{self.scale}"

    @property
    def trained_runs(self) -> list[Run]:
        """The runs that are trained here."""
        return [run for run in self.runs if run.path not in self.imports]

    def method(self, name: str) -> Method:
        """A method by which runs are trained here; an UnknownName for that of imported runs."""
        method = self.methods[name]
        if isinstance(method, ImportedMethod):
            raise UnknownName(name)
        return method

    @property
    def seeds(self) -> list[int]:
        """The seeds of all runs, ascending."""
        return sorted({run.seed for run in self.runs})
