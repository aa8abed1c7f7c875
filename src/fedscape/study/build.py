"""A `Study` from the content of a study file at a scale, with every value checked on the way."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TypeVar

from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.preprocessing import Preprocessing
from fedscape.settings.training import Augmentation
from fedscape.study.analyses import build_analyses, build_figures
from fedscape.study.catalog import check_kind, constant, names, plugin, settings_class
from fedscape.study.claims import build_claims, claim_figures
from fedscape.study.grid import Run, crossed
from fedscape.study.imported import build_imports, imported_methods, is_imported
from fedscape.study.limits import (
    MOST_METHODS,
    check_count,
    check_crossed,
    check_name,
    check_selections,
)
from fedscape.study.methods import build_methods, grid_value, kept_moment, tried_settings
from fedscape.study.own_modules import KIND, check_class
from fedscape.study.problems import Problems
from fedscape.study.selection import Names, subset_of
from fedscape.study.sources import with_sources
from fedscape.study.stages.every import SECTIONS
from fedscape.study.study import (
    Analyses,
    AnyMethod,
    DatasetEntry,
    ImportedMethod,
    Init,
    Named,
    PartitionEntry,
    Study,
)
from fedscape.study.tables import build_tables
from fedscape.study.types import checked, required_fields, shown, unknown

Part = TypeVar("Part")


def build_study(name: str, scale: str, content: dict, known: Mapping[str, DatasetEntry], where: str) -> Study:
    """The study `name` at `scale`.

    content: the study file merged with its scale, already checked against the schema.
    known: all data sets. where: file and scale, for messages.
    Raises FedscapeError for every unknown name and impossible value, but not for what only follows from it:
    runs are looked at when all that they are named after is right and all kinds are known, and what selects
    runs when these are right.
    """
    problems = Problems()

    def built(section: str, build: Callable[[str, dict, str], Part]) -> Named[Part]:
        return Named(
            (key, problems.of(build, key, entry, f"{where}: {section}.{key}"))
            for key, entry in content[section].items()
        )

    datasets = Named(
        (key, problems.of(_dataset, key, known, f"{where}: datasets")) for key in content["datasets"]
    )
    models = built("models", _model)
    partitions = built("partitions", _partition)
    methods: Named[AnyMethod] = Named()
    for base, entry in content["methods"].items():
        methods.update(problems.of(build_methods, base, entry, f"{where}: methods.{base}") or {})
        check_count(len(methods), MOST_METHODS, "methods", f"{where}: methods")
    own_names = Names.of(content, methods)
    imports = {}
    if not problems:
        imports = (
            problems.of(build_imports, content["runs"], own_names.every, methods, partitions, where) or {}
        )
        methods.update(problems.of(imported_methods, imports, where) or {})
    # A start may name a method, which must be right before.
    inits = Named() if problems else built("inits", lambda _, entry, key: _init(entry, methods, key))
    problems.of(_check_kinds, content, where)
    problems.tell()
    entries = [
        problems.of(own_names.selected, entry, f"{where}: runs[{i}]")
        for i, entry in enumerate(content["runs"])
        if not is_imported(entry)
    ]
    problems.tell()
    if entries:
        check_crossed(entries, own_names.every, where)
    all_names = own_names.with_labels(imports)
    asked = (*crossed(entries, own_names.every), *imports)
    runs = with_sources(asked, inits, imports, all_names, where)
    for init in dict.fromkeys(run.init for run in runs if run not in imports):
        proxy = inits[init].start.settings.get("dataset")
        if proxy is not None:
            datasets[proxy] = _dataset(proxy, known, f"{where}: inits.{init}.dataset")
    check_selections(content, (*SECTIONS, "figures", "claims", "tables"), len(runs), all_names.every, where)
    problems.of(_check_sizes, runs, datasets, partitions, content, where)
    for run in runs:
        problems.of(_check_inputs, run, datasets, models, partitions, methods, where)
    analyses = problems.of(build_analyses, content, runs, all_names, methods, partitions, where)
    problems.tell()
    _check_names([name, scale], runs, analyses, where)
    tried = tried_settings(methods, content)
    figures = problems.of(build_figures, content, analyses, runs, all_names, tried, where)
    claims = problems.of(build_claims, content, runs, analyses, all_names, where)
    tables = problems.of(build_tables, content, runs, analyses, all_names, where)
    problems.tell()
    return Study(
        name=name,
        scale=scale,
        title=content["title"],
        paper=content.get("paper", ""),
        images=Named((key, subset_of(content, "images", key)) for key in content["datasets"]),
        test_images=Named((key, subset_of(content, "test_images", key)) for key in content["datasets"]),
        validation=float(content.get("validation", 0)),
        datasets=datasets,
        models=models,
        partitions=partitions,
        inits=inits,
        methods=methods,
        runs=runs,
        imports=Named((run.path, files) for run, files in imports.items()),
        analyses=analyses,
        figures=figures,
        claims=claims,
        claim_figures=claim_figures(content, claims, figures),
        tables=Named(tables),
        labels=[
            {**label, "where": all_names.written_out(label["where"])} for label in content.get("labels", [])
        ],
        grids=_grids(methods, tried),
    )


def known_datasets(own: Mapping[str, dict]) -> Named[DatasetEntry]:
    """Every data set by name: the kinds that need no settings, and the user's own entries."""
    built_in = [kind for kind in names("dataset") if not required_fields(settings_class("dataset", kind))]
    datasets = Named(
        (kind, DatasetEntry(kind, plugin("dataset", kind, {}, kind).settings)) for kind in built_in
    )
    shared = [field.name for field in fields(Preprocessing)]
    for name, entry in own.items():
        where, kind = f"config: datasets.{name}", entry["kind"]
        source = plugin("dataset", kind, _without(entry, "kind", *shared), where, ["kind", *shared])
        keys = {key: entry[key] for key in shared if key in entry}
        if keys and constant("dataset", kind, "INPUTS") == "tokens":
            raise FedscapeError(f"{where}.{next(iter(keys))}: {kind} holds tokens, and this is for images")
        datasets[name] = DatasetEntry(kind, source.settings, checked(Preprocessing, keys, where))
    return datasets


def _check_kinds(content: dict, where: str) -> None:
    """Refuse kinds that are not there, in the sections that are read when the runs are right."""
    problems = Problems()
    for section, role in (("planes", "plane"), ("figures", "figure")):
        for name, entry in content.get(section, {}).items():
            problems.of(check_kind, role, entry["kind"], f"{where}: {section}.{name}")
    for number, entry in enumerate(content.get("claims", [])):
        problems.of(check_kind, "measure", entry["measure"], f"{where}: claims[{number}]")
    problems.tell()


def _dataset(name: str, known: Mapping[str, DatasetEntry], where: str) -> DatasetEntry:
    if name not in known:
        raise FedscapeError(f"{where}: {unknown('data set', name, known)}")
    return known[name]


def _model(name: str, entry: dict, where: str) -> Plugin:
    kind = entry.get("kind", KIND if KIND in entry else name)
    model = plugin("model", kind, _without(entry, "kind"), where, ["kind"])
    check_class(model.keys, where)
    return model


def _partition(name: str, entry: dict, where: str) -> PartitionEntry:
    shared = ("scheme", "clients", "seed")
    scheme = plugin("partition", entry["scheme"], _without(entry, *shared), where, shared)
    if "clients" not in entry and not constant("partition", entry["scheme"], "OWN_CLIENTS"):
        raise FedscapeError(f"{where}: key 'clients' is missing")
    return PartitionEntry(scheme, entry.get("clients"), entry.get("seed"))


def _init(entry: dict, methods: Mapping[str, AnyMethod], where: str) -> Init:
    shared = ("kind", "seed")
    start = plugin("initial", entry["kind"], _without(entry, *shared), where, shared)
    if start.kind == "after-round":
        method, number = start.settings["method"], start.settings["round"]
        if method not in methods:
            raise FedscapeError(f"{where}.method: {unknown('method', method, methods)}")
        kept = kept_moment(number, method, methods, f"{where}.round")
        # `last` stays: of a run that diverges it is the last finite round.
        start = Plugin(start.kind, {**start.settings, "round": "last" if number == "last" else kept})
    return Init(start, entry.get("seed"))


def _grids(methods: Mapping[str, AnyMethod], tried: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The values of each grid point, to read: `lr=0.1;mu=1.0`."""
    return {
        name: ";".join(f"{key}={_spelled(grid_value(method, key))}" for key in tried[name])
        for name, method in methods.items()
        if not isinstance(method, ImportedMethod) and tried[name]
    }


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_names(
    study: Sequence[str],
    runs: Sequence[Run],
    analyses: Analyses,
    where: str,
) -> None:
    """Refuse names too long for the longest file names that are made of them, those of SLURM's logs."""
    for run in runs:
        check_name([*study, *run.path.split("/")], f"{where}: runs: {run.path}")
    for section, entries in analyses.items():
        for name, analysis in entries.items():
            for group in analysis.groups:
                check_name([*study, name, group], f"{where}: {section}.{name}")


def _check_sizes(
    runs: Sequence[Run],
    datasets: Mapping[str, Plugin],
    partitions: Mapping[str, PartitionEntry],
    content: dict,
    where: str,
) -> None:
    """Refuse subsets larger than their set and more clients than samples, where the sizes are known."""
    for key in ("images", "test_images"):
        for name in content[key] if isinstance(content.get(key), dict) else ():
            if name not in content["datasets"]:
                raise FedscapeError(f"{where}: {key}: {unknown('data set', name, content['datasets'])}")
    for dataset in content["datasets"]:
        for key, constant_name in (("images", "TRAIN_SAMPLES"), ("test_images", "TEST_SAMPLES")):
            available = _samples(datasets[dataset], constant_name)
            subset = subset_of(content, key, dataset)
            if available is not None and subset is not None and subset > available:
                raise FedscapeError(f"{where}: {key}: {shown(subset)}, but {dataset} has {available}")
            if key == "images" and available is not None:
                samples = (subset or available) - round((subset or available) * content.get("validation", 0))
                for name in dict.fromkeys(run.partition for run in runs if run.dataset == dataset):
                    clients = partitions[name].clients or 0
                    if clients > samples:
                        raise FedscapeError(
                            f"{where}: partitions.{name}.clients: {clients} clients, but {dataset} has "
                            f"{samples} training samples here"
                        )


def _samples(dataset: Plugin, constant_name: str) -> int | None:
    """How many samples a data set has; None where it must be prepared before anyone knows."""
    samples = constant("dataset", dataset.kind, constant_name)
    return samples[dataset.settings["part"]] if isinstance(samples, dict) else samples


def _check_inputs(
    run: Run,
    datasets: Mapping[str, Plugin],
    models: Mapping[str, Plugin],
    partitions: Mapping[str, PartitionEntry],
    methods: Mapping[str, AnyMethod],
    where: str,
) -> None:
    """Refuse a run whose network, partition or method cannot take what its data set holds."""
    inputs = _inputs("dataset", datasets[run.dataset].kind)
    key, method = f"{where}: runs: {run.dataset}", methods[run.method]
    if _inputs("model", models[run.model].kind) not in (inputs, "any"):
        raise FedscapeError(
            f"{key}/{run.model}: {run.dataset} holds {inputs}, which {run.model} does not take"
        )
    if inputs == "images":
        return
    if constant("partition", partitions[run.partition].scheme.kind, "BY_LABEL"):
        raise FedscapeError(
            f"{key}/{run.partition}: {run.partition} deals by label, of which a sequence has many; "
            "use iid, quantity or natural"
        )
    if isinstance(method, ImportedMethod):
        return
    if constant("algorithm", method.algorithm.kind, "INPUTS") == "images":
        raise FedscapeError(f"{key}/{run.method}: {method.algorithm.kind} is for images, not for {inputs}")
    if method.training.augmentation != Augmentation():
        raise FedscapeError(f"{key}/{run.method}: augmentation is for images, not for {inputs}")


def _inputs(role: str, kind: str) -> object:
    return constant(role, kind, "INPUTS") or "images"


def _without(entry: dict, *keys: str) -> dict:
    return {key: value for key, value in entry.items() if key not in keys}
