"""From the content of a study file at a scale to a `Study`, with every value checked on the way."""

import json
from dataclasses import asdict

from fedscape.errors import FedscapeError
from fedscape.settings.training import Augmentation
from fedscape.study.analyses import build_analyses, build_figures
from fedscape.study.catalog import constant, names, plugin_settings, settings_class
from fedscape.study.claims import build_claims
from fedscape.study.grid import Run, crossed
from fedscape.study.limits import (
    LONGEST_CHAIN,
    MOST_METHODS,
    MOST_RUNS,
    check_count,
    check_crossed,
    check_name,
    check_selections,
)
from fedscape.study.methods import build_methods, grid_value, kept_moment
from fedscape.study.selection import Names, subset_of
from fedscape.study.stages.every import SECTIONS
from fedscape.study.study import Init, Method, PartitionEntry, Study
from fedscape.study.tables import build_tables
from fedscape.study.types import required_fields, shown, unknown


def build_study(name: str, scale: str, content: dict, known: dict[str, dict], where: str) -> Study:
    """The study `name` at `scale`.

    content: the study file merged with its scale, already checked against the schema.
    known: settings of all data sets. where: file and scale, for messages.
    Raises FedscapeError for the first unknown name or impossible value.
    """

    def built(section: str, build) -> dict:
        return {
            key: build(key, entry, f"{where}: {section}.{key}") for key, entry in content[section].items()
        }

    datasets = {one: _dataset(one, known, f"{where}: datasets") for one in content["datasets"]}
    models = built("models", _model)
    partitions = built("partitions", _partition)
    methods: dict[str, Method] = {}
    for base, entry in content["methods"].items():
        methods |= build_methods(base, entry, f"{where}: methods.{base}")
        check_count(len(methods), MOST_METHODS, "methods", f"{where}: methods")
    inits = built("inits", lambda _, entry, place: _init(entry, methods, place))
    all_names = Names.of(content, methods)
    entries = [all_names.selected(one, f"{where}: runs[{i}]") for i, one in enumerate(content["runs"])]
    check_crossed(entries, all_names.every, where)
    runs = _with_sources(crossed(entries, all_names.every), inits, all_names, where)
    for init in {run.init for run in runs}:
        proxy = inits[init].start.get("dataset")
        if proxy is not None:
            datasets[proxy] = _dataset(proxy, known, f"{where}: inits.{init}.dataset")
    check_selections(content, (*SECTIONS, "figures", "claims", "tables"), len(runs), all_names.every, where)
    _check_sizes(runs, datasets, partitions, content, where)
    for run in runs:
        _check_inputs(run, datasets, models, partitions, methods, where)
    analyses = build_analyses(content, runs, all_names, methods, where)
    _check_names([name, scale], runs, analyses, where)
    return Study(
        name=name,
        scale=scale,
        title=content["title"],
        images={one: subset_of(content, "images", one) for one in content["datasets"]},
        test_images={one: subset_of(content, "test_images", one) for one in content["datasets"]},
        validation=float(content.get("validation", 0)),
        datasets=datasets,
        models=models,
        partitions=partitions,
        inits=inits,
        methods=methods,
        runs=runs,
        analyses=analyses,
        figures=build_figures(content, analyses, runs, all_names, where),
        claims=build_claims(content, runs, analyses, all_names, where),
        tables=build_tables(content, runs, analyses, all_names, where),
        labels=[{**one, "where": all_names.written_out(one["where"])} for one in content.get("labels", [])],
        grids=_grids(methods, content),
    )


def known_datasets(own: dict) -> dict[str, dict]:
    """Settings of every data set by name: the kinds that need none, and the user's own entries."""
    built_in = [kind for kind in names("dataset") if not required_fields(settings_class("dataset", kind))]
    datasets = {kind: plugin_settings("dataset", kind, {}, kind) for kind in built_in}
    for name, entry in own.items():
        datasets[name] = plugin_settings(
            "dataset", entry["kind"], _without(entry, "kind"), f"config: datasets.{name}", ["kind"]
        )
    return datasets


def _dataset(name: str, known: dict, where: str) -> dict:
    if name not in known:
        raise FedscapeError(f"{where}: {unknown('data set', name, known)}")
    return known[name]


def _model(name: str, entry: dict, where: str) -> dict:
    return plugin_settings("model", entry.get("kind", name), _without(entry, "kind"), where, ["kind"])


def _partition(name: str, entry: dict, where: str) -> PartitionEntry:
    shared = ("scheme", "clients", "seed")
    scheme = plugin_settings("partition", entry["scheme"], _without(entry, *shared), where, shared)
    if "clients" not in entry and not constant("partition", entry["scheme"], "OWN_CLIENTS"):
        raise FedscapeError(f"{where}: key 'clients' is missing")
    return PartitionEntry(scheme, entry.get("clients"), entry.get("seed"))


def _init(entry: dict, methods: dict[str, Method], where: str) -> Init:
    shared = ("kind", "seed")
    start = plugin_settings("initial", entry["kind"], _without(entry, *shared), where, shared)
    if start["kind"] == "after-round":
        if start["method"] not in methods:
            raise FedscapeError(f"{where}.method: {unknown('method', start['method'], methods)}")
        number = kept_moment(start["round"], start["method"], methods, f"{where}.round")
        # `last` stays: of a run that diverges it is the last finite round.
        start["round"] = start["round"] if start["round"] == "last" else number
    return Init(start, entry.get("seed"))


def _with_sources(
    runs: tuple[Run, ...], inits: dict[str, Init], all_names: Names, where: str
) -> tuple[Run, ...]:
    """The runs, and those that their `after-round` starts continue; a circle of starts is refused."""
    complete: dict[Run, None] = {}

    def add(run: Run, chain: tuple[str, ...]) -> None:
        start = inits[run.init].start
        if start["kind"] == "after-round":
            place = f"{where}: inits.{run.init}"
            for key in ("init", "partition"):
                all_names.selected({key: start[key]}, place)
            if start["init"] in (*chain, run.init):
                raise FedscapeError(
                    f"{place}: starts go round in a circle: {' -> '.join([*chain, run.init, start['init']])}"
                )
            check_count(len(chain) + 1, LONGEST_CHAIN, "starts that continue one another", place)
            seed = run.seed if inits[run.init].seed is None else inits[run.init].seed
            add(
                Run(run.dataset, run.model, start["partition"], start["init"], start["method"], seed),
                (*chain, run.init),
            )
        complete[run] = None
        check_count(len(complete), MOST_RUNS, "runs", f"{where}: runs")

    for run in runs:
        add(run, ())
    return tuple(complete)


def _grids(methods: dict[str, Method], content: dict) -> dict[str, str]:
    """The values of each grid point, to read: `lr=0.1;mu=1.0`."""
    texts = {}
    for name, method in methods.items():
        keys = content["methods"][method.base].get("grid", {})
        if keys:
            texts[name] = ";".join(f"{key}={_spelled(grid_value(method, key))}" for key in keys)
    return texts


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_names(study: list[str], runs: tuple[Run, ...], analyses: dict[str, dict], where: str) -> None:
    """Refuse names of which the longest names of files, those of SLURM's logs, could not be made."""
    for run in runs:
        check_name([*study, *run.path.split("/")], f"{where}: runs: {run.path}")
    for section, entries in analyses.items():
        for name, analysis in entries.items():
            for group in analysis.groups:
                check_name([*study, name, group], f"{where}: {section}.{name}")


def _check_sizes(
    runs: tuple[Run, ...], datasets: dict, partitions: dict[str, PartitionEntry], content: dict, where: str
) -> None:
    """Refuse subsets larger than their set and more clients than samples, where the sizes are known."""
    for key in ("images", "test_images"):
        for name in content[key] if isinstance(content.get(key), dict) else ():
            if name not in content["datasets"]:
                raise FedscapeError(f"{where}: {key}: {unknown('data set', name, content['datasets'])}")
    for dataset in content["datasets"]:
        settings = datasets[dataset]
        for key, constant_name in (("images", "TRAIN_SAMPLES"), ("test_images", "TEST_SAMPLES")):
            available = constant("dataset", settings["kind"], constant_name)
            if isinstance(available, dict):
                available = available[settings["part"]]
            wanted = subset_of(content, key, dataset)
            if available is not None and wanted is not None and wanted > available:
                raise FedscapeError(f"{where}: {key}: {shown(wanted)}, but {dataset} has {available}")
            if key == "images" and available is not None:
                samples = (wanted or available) - round((wanted or available) * content.get("validation", 0))
                for name in dict.fromkeys(run.partition for run in runs if run.dataset == dataset):
                    clients = partitions[name].clients or 0
                    if clients > samples:
                        raise FedscapeError(
                            f"{where}: partitions.{name}.clients: {clients} clients, but {dataset} has "
                            f"{samples} training samples here"
                        )


def _check_inputs(
    run: Run,
    datasets: dict,
    models: dict,
    partitions: dict[str, PartitionEntry],
    methods: dict[str, Method],
    where: str,
) -> None:
    """Refuse a run whose network, partition or method cannot take what its data set holds."""
    inputs = _inputs("dataset", datasets[run.dataset]["kind"])
    place, method = f"{where}: runs: {run.dataset}", methods[run.method]
    if inputs != _inputs("model", models[run.model]["kind"]):
        raise FedscapeError(
            f"{place}/{run.model}: {run.dataset} holds {inputs}, which {run.model} does not take"
        )
    if inputs == "images":
        return
    if constant("partition", partitions[run.partition].scheme["kind"], "BY_LABEL"):
        raise FedscapeError(
            f"{place}/{run.partition}: {run.partition} deals by label, of which a sequence has many; "
            "use iid, quantity or natural"
        )
    if constant("algorithm", method.algorithm["kind"], "INPUTS") == "images":
        raise FedscapeError(
            f"{place}/{run.method}: {method.algorithm['kind']} is for images, not for {inputs}"
        )
    if method.training["augmentation"] != asdict(Augmentation()):
        raise FedscapeError(f"{place}/{run.method}: augmentation is for images, not for {inputs}")


def _inputs(role: str, kind: str) -> object:
    return constant(role, kind, "INPUTS") or "images"


def _without(entry: dict, *keys: str) -> dict:
    return {key: value for key, value in entry.items() if key not in keys}
