"""The grid of runs: cross products, selections, groups."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import product

from fedscape.columns.identity import IDENTITY

RUN_KEYS = (*IDENTITY[2:],)


@dataclass(frozen=True, order=True)
class Run:
    """One training run, by the names that its settings have in the study file."""

    dataset: str
    model: str
    partition: str
    init: str
    method: str
    seed: int

    @classmethod
    def of(cls, wildcards: Mapping[str, str]) -> "Run":
        """The run that the wildcards of its paths name; others may stand beside them."""
        own = {field.name: wildcards[field.name] for field in fields(cls)}
        return cls(**{**own, "seed": int(wildcards["seed"])})

    @property
    def path(self) -> str:
        """`{dataset}/{model}/{partition}/{init}/{method}/seed{seed}`."""
        return f"{self.dataset}/{self.model}/{self.partition}/{self.init}/{self.method}/seed{self.seed}"

    @property
    def names(self) -> dict[str, str]:
        """The wildcards of its paths."""
        return {key: str(value) for key, value in vars(self).items()}

    def identity(self, study: str, scale: str) -> dict:
        """The identifying columns of this run's rows in every CSV."""
        return {"study": study, "scale": scale, **asdict(self)}


Member = Run | tuple[Run, Run]
"""What an analysis looks at: a run, or a pair of them."""


def as_list(value: object) -> list:
    """A list as it is, anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def crossed(entries: Iterable[Mapping], every: Mapping[str, list]) -> tuple[Run, ...]:
    """The union of cross products, in the order of first mention; a key left out means every name."""
    runs = (
        Run(*values)
        for entry in entries
        for values in product(*(as_list(entry.get(key, every[key])) for key in RUN_KEYS))
    )
    return tuple(dict.fromkeys(runs))


def matching(runs: Iterable[Run], where: Mapping[str, object]) -> list[Run]:
    """The runs of which each key of `where` names the value, in their order."""
    selected = list(runs)
    for key, value in where.items():
        values = {*as_list(value)}
        selected = [run for run in selected if getattr(run, key) in values]
    return selected


def ordered(runs: Iterable[Run], where: Mapping[str, object]) -> list[Run]:
    """The runs that match, in the order in which the lists of `where` name their values."""
    lists = {key: as_list(where[key]) for key in RUN_KEYS if key in where}
    ranks = {key: {value: rank for rank, value in enumerate(values)} for key, values in lists.items()}
    return sorted(
        matching(runs, where), key=lambda run: [rank[getattr(run, key)] for key, rank in ranks.items()]
    )


def grouped(runs: Iterable[Run], each: Iterable[str], together: bool) -> dict[str, tuple[Run, ...]]:
    """Runs by group, groups by name: data set, the values of `each` (`all` if none), and the seed.

    Data sets never mix, seeds only if `together`. A name holds both even where the study has one of
    each, so that adding a second leaves the first one's files where they are.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        values = [str(getattr(run, key)) for key in each] or ["all"]
        name = "_".join([run.dataset, *values, *([] if together else [f"seed{run.seed}"])])
        groups.setdefault(name, []).append(run)
    return {name: tuple(members) for name, members in groups.items()}


def runs_of(members: Iterable[Member]) -> list[Run]:
    """The runs of a group of runs or of pairs, each once, in the order in which they are first named."""
    ends = (run for member in members for run in (member if isinstance(member, tuple) else (member,)))
    return list(dict.fromkeys(ends))
