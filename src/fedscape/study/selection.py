"""Selections of runs by name: `where` in an analysis or a figure, and each entry of `runs`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from fedscape.errors import FedscapeError
from fedscape.study.grid import Run, as_list, ordered
from fedscape.study.study import AnyMethod, Study
from fedscape.study.types import unknown


@dataclass(frozen=True)
class Names:
    """Every name that a study defines, by the key that selects it."""

    every: Mapping[str, list]  # key -> names (seeds for `seed`)
    points: Mapping[str, list[str]]  # method as the study names it -> its grid points

    @classmethod
    def of(cls, content: dict, methods: Mapping[str, AnyMethod]) -> "Names":
        """The names of a study's content; methods are known by their grid points."""
        points: dict[str, list[str]] = {}
        for name, method in methods.items():
            points.setdefault(method.base, []).append(name)
        sections = {"model": "models", "partition": "partitions", "init": "inits"}
        every = {key: list(content[section]) for key, section in sections.items()}
        every |= {"dataset": content["datasets"], "method": list(methods), "seed": content.get("seeds", [0])}
        return cls(every, points)

    def with_labels(self, runs: Collection[Run]) -> "Names":
        """With the names of starts and methods that only imported runs have."""
        labels = {
            key: dict.fromkeys([*self.every[key], *(getattr(run, key) for run in runs)])
            for key in ("init", "method")
        }
        return replace(self, every={**self.every, **{key: list(names) for key, names in labels.items()}})

    def selected(self, selection: Mapping[str, object], key: str) -> dict[str, list]:
        """A selection with lists for single values and grids written out; an unknown name is refused.

        key: of the selection, for the message.
        """
        lists = self.written_out(selection)
        for part, values in lists.items():
            known = {*self.every[part]}
            for value in values:
                if value not in known:
                    raise FedscapeError(f"{key}.{part}: {unknown(part, value, self.every[part])}")
        return lists

    def written_out(self, selection: Mapping[str, object]) -> dict[str, list]:
        """As `selected`, whether or not there are such names."""
        lists = {part: as_list(value) for part, value in selection.items()}
        if "method" in lists:
            points = (point for name in lists["method"] for point in self.points.get(name, [name]))
            lists["method"] = list(dict.fromkeys(points))
        return lists


def selected_runs(entry: Mapping, runs: tuple[Run, ...], names: Names, where: str) -> list[Run]:
    """The runs that an analysis's `runs` selects, each once, in their order; without it all."""
    selections = [
        names.selected(selection, f"{where}.runs[{i}]") for i, selection in enumerate(entry.get("runs", [{}]))
    ]
    selected = dict.fromkeys(run for selection in selections for run in ordered(runs, selection))
    if not selected:
        raise FedscapeError(f"{where}.runs: selects no run of this scale")
    return list(selected)


def check_choice(settings: Mapping[str, object], content: Mapping, where: str) -> None:
    """Refuse to choose grid points by held-out samples where the study holds none out.

    settings: of a measure or a figure kind, which may have `choose`.
    """
    if settings.get("choose") and not content.get("validation"):
        raise FedscapeError(
            f"{where}.choose: {settings['choose']} needs `validation`, the share of samples to hold out"
        )


def subset_of(content: Mapping, key: str, dataset: str) -> int | None:
    """How many samples of a data set are used, from one number for all or a map by data set; None: all.

    key: `images` or `test_images`.
    """
    samples = content.get(key)
    return samples.get(dataset) if isinstance(samples, Mapping) else samples


def check_names(selection: Mapping[str, object], scales: Sequence[Study], where: str) -> None:
    """Refuse names in a selection, made for every scale of a study alike, that no run of any scale has."""
    for key, value in selection.items():
        known = dict.fromkeys(name for study in scales for name in _names(study, key))
        for name in as_list(value):
            if name not in known:
                raise FedscapeError(f"{where}.{key}: {unknown(key, name, known)}")


def _names(study: Study, key: str) -> list:
    """What a selection may call the runs of a study: a method also by the name of its grid."""
    bases = [study.methods[run.method].base for run in study.runs] if key == "method" else []
    return [*(getattr(run, key) for run in study.runs), *bases]
