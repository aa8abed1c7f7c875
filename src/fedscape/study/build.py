"""From the content of a study file at a scale to a `Study`, with every value checked on the way."""

from itertools import product

from fedscape.errors import FedscapeError
from fedscape.study.analyses import build_analyses, build_figures
from fedscape.study.catalog import constant, names, plugin_settings, required, settings_class
from fedscape.study.grid import Run, as_list, crossed
from fedscape.study.study import Init, Method, Partition, Study
from fedscape.study.training import TrainingSettings
from fedscape.study.types import settings_from, shown, unknown

_METHOD_KEYS = ("algorithm", "server", "keep_rounds", "client_rounds", "order_seed", "grid", "axis")


def build_study(name: str, scale: str, content: dict, known: dict[str, dict], where: str) -> Study:
    """The study `name` at `scale`.

    content: the study file merged with its scale, already checked against the schema.
    known: settings of all data sets. where: file and scale, for messages.
    Raises FedscapeError for the first unknown name or impossible value.
    """
    datasets = {one: _dataset(one, known, f"{where}: datasets") for one in content["datasets"]}
    models = {
        key: plugin_settings(
            "model", entry.get("kind", key), _without(entry, "kind"), f"{where}: models.{key}"
        )
        for key, entry in content["models"].items()
    }
    partitions = {
        key: _partition(entry, f"{where}: partitions.{key}") for key, entry in content["partitions"].items()
    }
    methods: dict[str, Method] = {}
    for key, entry in content["methods"].items():
        methods |= _methods(key, entry, f"{where}: methods.{key}")
    inits = {key: _init(entry, methods, f"{where}: inits.{key}") for key, entry in content["inits"].items()}
    every = {
        "dataset": content["datasets"], "model": list(models), "partition": list(partitions),
        "init": list(inits), "method": list(methods), "seed": content.get("seeds", [0]),
    }  # fmt: skip
    bases = {
        method.base: [key for key, one in methods.items() if one.base == method.base]
        for method in methods.values()
    }

    def selected(entry: dict, place: str) -> dict:
        """A `where` with method grids written out and every name known."""
        entry = {key: as_list(value) for key, value in entry.items()}
        if "method" in entry:
            entry["method"] = [point for one in entry["method"] for point in bases.get(one, [one])]
        for key, values in entry.items():
            for value in values:
                if key != "seed" and value not in every[key]:
                    raise FedscapeError(f"{place}.{key}: {unknown(key, value, every[key])}")
        return entry

    runs = crossed([selected(entry, f"{where}: runs[{i}]") for i, entry in enumerate(content["runs"])], every)
    runs = _with_sources(runs, inits, every, where)
    for init in {run.init for run in runs}:
        proxy = inits[init].start.get("dataset")
        if proxy is not None:
            datasets[proxy] = _dataset(proxy, known, f"{where}: inits.{init}.dataset")
    _check_sizes(runs, datasets, partitions, content, where)
    analyses = build_analyses(content, runs, selected, where)
    for entry, analysis in analyses["curvature"].items():
        for run in (run for group in analysis.groups.values() for run in group):
            for value in analysis.settings["rounds"]:
                moment(value, methods[run.method].training["rounds"], f"{where}: curvature.{entry}.rounds")
    return Study(
        name=name,
        scale=scale,
        title=content["title"],
        images=content.get("images"),
        test_images=content.get("test_images"),
        validation=float(content.get("validation", 0)),
        datasets=datasets,
        models=models,
        partitions=partitions,
        inits=inits,
        methods=methods,
        runs=runs,
        **analyses,
        figures=build_figures(content, analyses, runs, selected, where),
        published=[{**one, "where": selected(one["where"], where)} for one in content.get("published", [])],
    )


def moment(value: object, rounds: int, where: str) -> int:
    """A round given as a number, a fraction of all rounds, or `last`."""
    if value == "last":
        return rounds
    number = max(1, round(value * rounds)) if isinstance(value, float) else value
    if not 0 <= number <= rounds:
        raise FedscapeError(f"{where}: round {number} is past the end, the method has {rounds} rounds")
    return number


def _without(entry: dict, *keys: str) -> dict:
    return {key: value for key, value in entry.items() if key not in keys}


def known_datasets(own: dict) -> dict[str, dict]:
    """Settings of every data set by name: the kinds that need none, and the user's own entries."""
    built_in = [kind for kind in names("dataset") if not required("dataset", kind)]
    datasets = {kind: plugin_settings("dataset", kind, {}, kind) for kind in built_in}
    for name, entry in own.items():
        datasets[name] = plugin_settings(
            "dataset", entry["kind"], _without(entry, "kind"), f"config: datasets.{name}"
        )
    return datasets


def _dataset(name: str, known: dict, where: str) -> dict:
    if name not in known:
        raise FedscapeError(f"{where}: {unknown('data set', name, known)}")
    return known[name]


def _partition(entry: dict, where: str) -> Partition:
    scheme = plugin_settings(
        "partition", entry["scheme"], _without(entry, "scheme", "clients", "seed"), where
    )
    if "clients" not in entry and entry["scheme"] != "natural":
        raise FedscapeError(f"{where}: key 'clients' is missing")
    return Partition(scheme, entry.get("clients"), entry.get("seed"))


def _init(entry: dict, methods: dict[str, Method], where: str) -> Init:
    start = plugin_settings("initial", entry["kind"], _without(entry, "kind", "seed"), where)
    if start["kind"] == "after-round":
        if start["method"] not in methods:
            raise FedscapeError(f"{where}.method: {unknown('method', start['method'], methods)}")
        source = methods[start["method"]]
        start["round"] = moment(start["round"], source.training["rounds"], f"{where}.round")
        if not source.keeps(start["round"]):
            raise FedscapeError(
                f"{where}.round: round {start['round']} is not among the keep_rounds of {start['method']}"
            )
    return Init(start, entry.get("seed"))


def _methods(name: str, entry: dict, where: str) -> dict[str, Method]:
    """The method, or one for each point of its `grid`, named `name.g1`, `name.g2`, ..."""
    grid = entry.get("grid", {})
    points = list(product(*grid.values()))
    if not grid:
        return {name: _method(name, entry, where)}
    return {
        f"{name}.g{i + 1}": _method(
            name, {**entry, **dict(zip(grid, point, strict=True))}, f"{where} (grid point {i + 1})"
        )
        for i, point in enumerate(points)
    }


def _method(name: str, entry: dict, where: str) -> Method:
    common = {key: value for key, value in entry.items() if key in TrainingSettings.__dataclass_fields__}
    own = _without(entry, *common, *_METHOD_KEYS)
    kind = entry.get("algorithm", name)
    if kind not in names("algorithm"):
        raise FedscapeError(f"{where}.algorithm: {unknown('algorithm', kind, names('algorithm'))}")
    known = [
        *TrainingSettings.__dataclass_fields__,
        *_METHOD_KEYS,
        *settings_class("algorithm", kind).__dataclass_fields__,
    ]
    for key in own:
        if key not in known:
            raise FedscapeError(f"{where}: {unknown('key', key, known)}")
    algorithm = plugin_settings("algorithm", kind, own, where)
    training = settings_from(TrainingSettings, common, where)
    server = entry.get("server", "average")
    server = server if isinstance(server, dict) else {"kind": server}
    rounds = training["rounds"]
    keep = entry.get("keep_rounds", "all")
    if isinstance(keep, list):
        keep = sorted({moment(value, rounds, f"{where}.keep_rounds") for value in keep})
    return Method(
        training=training,
        algorithm=algorithm,
        server=plugin_settings("server", server["kind"], _without(server, "kind"), f"{where}.server"),
        keep_rounds=keep,
        client_rounds=sorted(
            {moment(value, rounds, f"{where}.client_rounds") for value in entry.get("client_rounds", [])}
            - {0}
        ),
        order_seed=entry.get("order_seed"),
        base=name,
    )


def _with_sources(runs, inits, every, where) -> tuple[Run, ...]:
    """The runs, and those that their `after-round` starts continue; a circle of starts is refused."""
    complete: dict[Run, None] = {}

    def add(run: Run, chain: tuple[str, ...]) -> None:
        start = inits[run.init].start
        if start["kind"] == "after-round":
            place = f"{where}: inits.{run.init}"
            for key in ("init", "partition"):
                if start[key] not in every[key]:
                    raise FedscapeError(f"{place}.{key}: {unknown(key, start[key], every[key])}")
            if start["init"] in (*chain, run.init):
                raise FedscapeError(
                    f"{place}: starts go round in a circle: {' -> '.join([*chain, run.init, start['init']])}"
                )
            seed = run.seed if inits[run.init].seed is None else inits[run.init].seed
            add(
                Run(run.dataset, run.model, start["partition"], start["init"], start["method"], seed),
                (*chain, run.init),
            )
        complete[run] = None

    for run in runs:
        add(run, ())
    return tuple(complete)


def _check_sizes(runs, datasets, partitions, content, where) -> None:
    """Refuse subsets larger than their set and more clients than samples, where the sizes are known."""
    for dataset in content["datasets"]:
        settings = datasets[dataset]
        for key, constant_name in (("images", "TRAIN_SAMPLES"), ("test_images", "TEST_SAMPLES")):
            available = constant("dataset", settings["kind"], constant_name)
            if isinstance(available, dict):
                available = available[settings["part"]]
            wanted = content.get(key)
            if available is not None and wanted is not None and wanted > available:
                raise FedscapeError(f"{where}: {key}: {shown(wanted)}, but {dataset} has {available}")
            if key == "images" and available is not None:
                samples = (wanted or available) - round((wanted or available) * content.get("validation", 0))
                for name in {run.partition for run in runs}:
                    clients = partitions[name].clients or 0
                    if clients > samples:
                        raise FedscapeError(
                            f"{where}: partitions.{name}.clients: {clients} clients, but {dataset} has "
                            f"{samples} training samples here"
                        )
