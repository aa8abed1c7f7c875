"""A study at a scale: typed, checked, with its grid of runs. What the rules ask questions of."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from fedscape.settings.claims import Claim
from fedscape.settings.tables import PaperTable
from fedscape.study.grid import Run


@dataclass(frozen=True)
class PartitionEntry:
    """One way to deal samples to clients; `seed` pins the split for the runs of every seed."""

    scheme: Mapping[str, object]  # the plug-in: kind and its own settings
    clients: int | None
    seed: int | None


@dataclass(frozen=True)
class Init:
    """One start; `seed` pins it for the runs of every seed."""

    start: Mapping[str, object]  # the plug-in: kind and its own settings
    seed: int | None


@dataclass(frozen=True)
class Method:
    """One way to train."""

    training: Mapping[str, object]  # fields of TrainingSettings
    algorithm: Mapping[str, object]  # the plug-in: kind and its own settings
    server: Mapping[str, object]  # the plug-in: kind and its own settings
    keep_rounds: object  # "all", or the rounds, ascending
    client_rounds: list[int]
    client_paths: bool  # whether the clients' ways through these rounds are kept too
    order_seed: int | None
    base: str  # the method's name without a grid point

    def keeps(self, number: int) -> bool:
        """Whether the global model after round `number` is kept."""
        if self.keep_rounds == "all":
            return True
        place = bisect_left(self.keep_rounds, number)
        return self.keep_rounds[place : place + 1] == [number]


@dataclass(frozen=True)
class Analysis:
    """An entry of a section that looks at runs, such as `planes`: what to compute for which of them."""

    settings: Mapping[str, object]
    groups: Mapping[str, tuple]  # group name -> runs, or pairs of runs for connectivity


@dataclass(frozen=True)
class Figure:
    """One figure: a kind, where its numbers come from, and which runs it shows."""

    kind: Mapping[str, object]  # the plug-in: kind and its own settings
    title: str
    source: str  # "plane" | "connectivity" | "curvature" | "table" | "partitions"
    name: object  # name of the source; a list of names for partitions
    where: Mapping[str, object]
    groups: tuple[str, ...]  # groups of the source that it draws, where the source has groups


@dataclass(frozen=True)
class Study:
    """Everything that a study file says at one scale."""

    name: str
    scale: str
    title: str
    images: Mapping[str, int | None]  # data set -> training samples that are used; None: all
    test_images: Mapping[str, int | None]  # likewise of the test samples
    validation: float
    datasets: Mapping[str, Mapping[str, object]]  # name -> plug-in settings; proxies of starts included
    models: Mapping[str, Mapping[str, object]]
    partitions: Mapping[str, PartitionEntry]
    inits: Mapping[str, Init]
    methods: Mapping[str, Method]
    runs: tuple[Run, ...]
    analyses: Mapping[str, Mapping[str, Analysis]]  # section -> name -> entry
    figures: Mapping[str, Figure]
    claims: tuple[Claim, ...]
    tables: Mapping[str, PaperTable]
    labels: list[dict]  # what figures call runs: `{label, where}`, the first that matches
    grids: Mapping[str, str]  # method that is a grid point -> its values, such as `lr=0.1;mu=1`

    @property
    def folder(self) -> str:
        """Where everything of this study at this scale lies."""
        return f"results/{self.name}/{self.scale}"

    @property
    def seeds(self) -> list[int]:
        """The seeds of all runs, ascending."""
        return sorted({run.seed for run in self.runs})

    def start_seed(self, init: str, seed: int) -> int:
        """The seed of a start: the run's own, unless the entry pins one."""
        pinned = self.inits[init].seed
        return seed if pinned is None else pinned

    def start_run(self, init: str, dataset: str, model: str, seed: int) -> Run | None:
        """The run that an `after-round` start continues, or None for other kinds."""
        start = self.inits[init].start
        if start["kind"] != "after-round":
            return None
        return Run(dataset, model, start["partition"], start["init"], start["method"], seed)
