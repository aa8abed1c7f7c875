"""Runs of a study that were trained elsewhere: entries of `runs` with `models`."""

import re
from collections.abc import Iterable, Mapping
from itertools import product

from fedscape.errors import FedscapeError
from fedscape.settings.imports import MeasuredResult
from fedscape.study.files import refused_name
from fedscape.study.grid import RUN_KEYS, Run, as_list
from fedscape.study.methods import check_no_point
from fedscape.study.model_files import NumberedModels, check_ending, numbered_models
from fedscape.study.problems import Problems
from fedscape.study.study import AnyMethod, ImportedMethod, ImportedRun, PartitionEntry
from fedscape.study.types import checked, unknown

MODELS = "models"
LABELS = ("init", "method")
"""Keys of an entry that may name what the study does not define."""
_OF_FILES = ("clients", "map", "measured")  # keys that need `models`
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}")


def is_imported(entry: Mapping) -> bool:
    """Whether the runs of an entry of `runs` were trained elsewhere."""
    return MODELS in entry


def build_imports(
    entries: Iterable[Mapping],
    every: Mapping[str, list],
    methods: Mapping[str, AnyMethod],
    partitions: Mapping[str, PartitionEntry],
    where: str,
) -> dict[Run, ImportedRun]:
    """The runs of all entries with `models`, and their files, which are looked for.

    every: the names of data sets, models, partitions and seeds that the study defines, by the key of a run.
    """
    problems, runs = Problems(), {}
    for i, entry in enumerate(entries):
        key = f"{where}: runs[{i}]"
        if is_imported(entry):
            for run, files in (problems.of(_runs, entry, every, methods, partitions, key) or {}).items():
                if run in runs:
                    problems.add(f"{key}: {run.path} is imported twice")
                runs[run] = files
        else:
            for name in (name for name in _OF_FILES if name in entry):
                problems.add(f"{key}: key '{name}' needs key '{MODELS}'")
    problems.tell()
    return runs


def imported_methods(imports: Mapping[Run, ImportedRun], where: str) -> dict[str, ImportedMethod]:
    """What is known of the methods of imported runs; runs of a method must have the same rounds."""
    methods: dict[str, ImportedMethod] = {}
    first: dict[str, Run] = {}
    for run, files in imports.items():
        method = ImportedMethod(list(files.rounds), files.client_rounds, run.method)
        if methods.setdefault(run.method, method) != method:
            raise FedscapeError(
                f"{where}: runs: {first[run.method].path} and {run.path} have models of other rounds; runs "
                "of the same method have the same, so give one a method name of its own"
            )
        first.setdefault(run.method, run)
    return methods


def _runs(
    entry: Mapping,
    every: Mapping[str, list],
    methods: Mapping[str, AnyMethod],
    partitions: Mapping[str, PartitionEntry],
    where: str,
) -> dict[Run, ImportedRun]:
    check_ending(entry[MODELS], f"{where}.{MODELS}")
    names = {key: as_list(entry[key]) if key in entry else every.get(key, []) for key in RUN_KEYS}
    for key in LABELS:
        if key not in entry:
            raise FedscapeError(f"{where}: key '{key}' is missing, a name for it in paths and tables")
        for name in names[key]:
            if not _NAME.fullmatch(name):
                raise FedscapeError(f"{where}.{key}: {refused_name(name)}")
    for key in (key for key in RUN_KEYS if key not in LABELS):
        for name in names[key]:
            if name not in every[key]:
                raise FedscapeError(f"{where}.{key}: {unknown(key, name, every[key])}")
    for name in names["method"]:
        check_no_point(name, f"{where}.method")
        if name in methods:
            raise FedscapeError(
                f"{where}.method: '{name}' is one of `methods`, by which runs are trained here; imported "
                "runs have a name of their own"
            )
    runs = [Run(*values) for values in product(*(names[key] for key in RUN_KEYS))]
    patterns = {run: _of_run(entry[MODELS], run) for run in runs}
    if len(set(patterns.values())) < len(runs):
        differing = [key for key in RUN_KEYS if len(names[key]) > 1 and f"{{{key}}}" not in entry[MODELS]]
        raise FedscapeError(
            f"{where}.{MODELS}: the same files for several runs; put {{{differing[0]}}} where their names "
            "differ"
        )
    if "measured" in entry and len(runs) > 1:
        raise FedscapeError(
            f"{where}.measured: is of one run, and the entry is of {len(runs)}; give it one of its own"
        )
    return {run: _files(entry, run, partitions[run.partition].clients, where) for run in runs}


def _of_run(pattern: str, run: Run) -> str:
    """A pattern with the run's names in place of `{dataset}`, `{seed}` and so on."""
    for key, name in run.names.items():
        pattern = pattern.replace(f"{{{key}}}", name)
    return pattern


def _files(entry: Mapping, run: Run, clients: int | None, where: str) -> ImportedRun:
    models = numbered_models(_of_run(entry[MODELS], run), ("round",), f"{where}.{MODELS}")
    of_clients = NumberedModels((), ())
    if "clients" in entry:
        key = f"{where}.clients"
        of_clients = numbered_models(_of_run(entry["clients"], run), ("round", "client"), key)
        _check_clients(of_clients, {number for (number,) in models.numbers}, clients, key)
    return ImportedRun(
        rounds=tuple(number for (number,) in models.numbers),
        models=models.files,
        clients=tuple((number, client) for number, client in of_clients.numbers),
        client_models=of_clients.files,
        names=tuple(
            sorted(
                (theirs.rstrip("."), own and own.rstrip(".")) for theirs, own in entry.get("map", {}).items()
            )
        ),
        measured=_measured(entry["measured"], models, f"{where}.measured") if "measured" in entry else None,
    )


def _measured(entry: Mapping, models: NumberedModels, where: str) -> MeasuredResult:
    """What the owner of the models has measured; by default on test samples, in the last round."""
    rounds = [number for (number,) in models.numbers]
    number = entry.get("round", "last")
    if number != "last" and number not in rounds:
        raise FedscapeError(f"{where}.round: no model of round {number}")
    keys = {"split": "test", **entry, "round": rounds[-1] if number == "last" else number}
    return checked(MeasuredResult, keys, where)


def _check_clients(models: NumberedModels, rounds: set[int], clients: int | None, where: str) -> None:
    """Refuse rounds of differently many clients or without the model that these start from; strangers too."""
    counts: dict[int, int] = {}
    for number, client in models.numbers:
        counts[number] = counts.get(number, 0) + 1
        if clients is not None and client >= clients:
            raise FedscapeError(
                f"{where}: client {client} of round {number}, but the partition has {clients} clients from 0"
            )
        if number - 1 not in rounds:
            raise FedscapeError(
                f"{where}: clients of round {number} start from the global model of round {number - 1}, "
                "which is missing"
            )
    fewest, most = min(counts, key=lambda key: counts[key]), max(counts, key=lambda key: counts[key])
    if counts[fewest] != counts[most]:
        raise FedscapeError(
            f"{where}: {counts[fewest]} models of clients in round {fewest} and {counts[most]} in round "
            f"{most}; each round has the same number"
        )
