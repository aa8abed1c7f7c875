"""What a figure is told about names: a study's labels, and the number of each name in its study.

A figure draws a name by its number, so that a name looks alike in all figures, whichever others stand beside
it. Values under one label are one name and share a number. Numbers follow the order in which the study file
declares names, so that one declared last leaves those of the others alone.
"""

from collections.abc import Collection, Iterable, Mapping

from fedscape.plugins import Plugin
from fedscape.study.grid import RUN_KEYS, Run
from fedscape.study.study import Study

KEYS = RUN_KEYS[:-1]  # without the seed, by which no figure tells runs apart
_HALFWAY = {"alpha": 0.4, "beta": 0.4, "shards_per_client": 3.0, "labels": 3.0}
"""Settings of partition schemes that make clients alike as they grow, and where they are halfway there."""


def name_numbers(study: Study, runs: Iterable[Run], columns: Iterable[str] = KEYS) -> list[list]:
    """`[column, value, number, evenness]` for each value that these runs have in these columns.

    number: of the value's name among all names of the column in the study, from 0. evenness: see `evenness`;
    None in other columns than `partition`.
    """
    runs, declared_in = list(runs), _declared(study)
    rows = []
    for key in columns:
        declared = declared_in[key]
        names = {value: _name(study, key, value) for value in declared}
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
        first = {name: value for value, name in reversed(names.items())}
        for value in dict.fromkeys(getattr(run, key) for run in runs):
            name = names[value]
            even = evenness(study.partitions[first[name]].scheme) if key == "partition" else None
            rows.append([key, value, numbers[name], even])
    return rows


def telling_columns(study: Study, runs: Iterable[Run], columns: Iterable[str] = KEYS) -> tuple[str, ...]:
    """The columns that may name one of these runs beside the others: a figure knows no other numbers.

    Those in which the runs differ, those of labels that fit them, and the partition, by which a single run
    is coloured.
    """
    runs = list(runs)
    labelled = {key for label in fitting_labels(study, runs) for key in label["where"]}
    return tuple(
        key
        for key in columns
        if key == "partition" or key in labelled or len({getattr(run, key) for run in runs}) > 1
    )


def fitting_labels(study: Study, runs: Iterable[Run], columns: Collection[str] = KEYS) -> list[dict]:
    """The labels about these columns that fit one of these runs, of their values those that the runs have."""
    runs = list(runs)
    labels = []
    for label in study.labels:
        where = {}
        for key, values in label["where"].items():
            present = {str(getattr(run, key)) for run in runs} if key in columns else ()
            where[key] = [value for value in values if str(value) in present]
        if all(where.values()):
            labels.append({**label, "where": where})
    return labels


def evenness(scheme: Plugin) -> float | None:
    """How alike a partition makes its clients: 1 where they are IID, 0 where they share nothing.

    Of a Dirichlet distribution it is alpha / (alpha + 0.4), whatever other partitions the study has, so
    that an alpha is drawn alike in all studies. None for a scheme that no number orders.
    """
    if scheme.kind == "iid":
        return 1.0
    for setting, halfway in _HALFWAY.items():
        if setting in scheme.settings:
            value = float(scheme.settings[setting])
            return value / (value + halfway)
    return None


def _declared(study: Study) -> Mapping[str, Mapping[str, object]]:
    """The names that a run may have in each column, in the order of the study file."""
    return dict(
        zip(
            KEYS,
            (study.datasets, study.models, study.partitions, study.inits, study.methods),
            strict=True,
        )
    )


def _name(study: Study, key: str, value: str) -> str:
    """What figures call a value: the first label about its column alone, else itself or its grid's method."""
    for label in study.labels:
        if set(label["where"]) == {key} and value in label["where"][key]:
            return label["label"]
    return study.methods[value].base if key == "method" else value
