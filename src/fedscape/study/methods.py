"""Methods of a study: common training settings, an algorithm, a server rule, and what a run keeps."""

import re
from collections.abc import Mapping
from itertools import product
from math import prod
from typing import Literal

from fedscape.errors import FedscapeError
from fedscape.moment import Moment
from fedscape.plugins import Plugin
from fedscape.settings.plain import to_plain
from fedscape.settings.training import TrainingSettings
from fedscape.study.catalog import check_training, constant, names, plugin, settings_class
from fedscape.study.limits import MOST_KEPT, MOST_POINTS, check_count
from fedscape.study.problems import Problems
from fedscape.study.study import AnyMethod, Method
from fedscape.study.types import checked, unknown

_OWN_KEYS = (
    "algorithm",
    "server",
    "keep_rounds",
    "client_rounds",
    "client_paths",
    "order_seed",
    "grid",
    "axis",
)
_OF_SERVER = "server."  # how a grid calls a setting of the server: `server.lr`
_POINT = re.compile(r"\.g\d+$")  # how the names of grid points end; tables tell them by it


def build_methods(name: str, entry: dict, where: str) -> dict[str, Method]:
    """The method, or one for each point of its `grid`, named `name.g1`, `name.g2`, ..."""
    check_no_point(name, where)
    grid = entry.get("grid")
    if not grid:
        return {name: _method(name, entry, where)}
    for key in grid:
        if key in _OWN_KEYS:
            raise FedscapeError(
                f"{where}.grid: '{key}' cannot vary in a grid; settings of training can, and those of the "
                f"server ({_OF_SERVER}lr)"
            )
    check_count(prod(map(len, grid.values())), MOST_POINTS, "points", f"{where}.grid")
    methods, problems = {}, Problems()
    for number, point in enumerate(product(*grid.values()), start=1):
        settings = _at_point(entry, dict(zip(grid, point, strict=True)))
        key = f"{where} (grid point {number})"
        methods[f"{name}.g{number}"] = problems.of(_method, name, settings, key)
    problems.tell()
    return methods


def check_no_point(name: str, where: str) -> None:
    """Refuse a method's name that is like those of grid points."""
    if _POINT.search(name):
        raise FedscapeError(f"{where}: names that end in .g and a number are those of grid points")


def tried_settings(methods: Mapping[str, AnyMethod], content: dict) -> dict[str, list[str]]:
    """Of each method the settings that it tries out in a grid; imported ones have none."""
    return {
        name: list(content["methods"].get(method.base, {}).get("grid", ()))
        for name, method in methods.items()
    }


def grid_value(method: Method, key: str) -> object:
    """The value that a method has of a setting, by its name in a `grid`."""
    if key.startswith(_OF_SERVER):
        return method.server.settings[key.removeprefix(_OF_SERVER)]
    own = method.algorithm.settings
    return own[key] if key in own else to_plain(getattr(method.training, key))


def moment(value: Moment, rounds: int, where: str) -> int:
    """The number of a round that is given as a number, a share of all rounds, or `last`."""
    if value == "last":
        return rounds
    if isinstance(value, float) and not 0 < value <= 1:
        raise FedscapeError(
            f"{where}: got {value}, expected a whole number, a share of all rounds in (0, 1], or last"
        )
    number = max(1, round(value * rounds)) if isinstance(value, float) else value
    if not 0 <= number <= rounds:
        raise FedscapeError(f"{where}: round {number} is past the end, the method has {rounds} rounds")
    return number


def kept_moment(value: Moment, method: str, methods: Mapping[str, AnyMethod], where: str) -> int:
    """As `moment`, of a round whose global model the method must keep."""
    number = moment(value, methods[method].rounds, where)
    if not methods[method].keeps(number):
        raise FedscapeError(f"{where}: round {number} is not among the keep_rounds of {method}")
    return number


def check_clients_kept(number: int, method: str, methods: Mapping[str, AnyMethod], where: str) -> None:
    """Refuse a round whose clients' models the method does not keep."""
    kept = methods[method].client_rounds
    if number not in kept:
        raise FedscapeError(
            f"{where}: round {number} is not among the client_rounds of {method} "
            f"({', '.join(map(str, kept)) or 'none'})"
        )


def _at_point(entry: Mapping, point: Mapping) -> dict:
    """A method's entry with the values of one grid point."""
    of_server = {key.removeprefix(_OF_SERVER): point[key] for key in point if key.startswith(_OF_SERVER)}
    own = {key: value for key, value in point.items() if not key.startswith(_OF_SERVER)}
    return {**entry, **own, **({"server": {**_server(entry), **of_server}} if of_server else {})}


def _server(entry: Mapping) -> dict:
    """The keys of a method's server rule: `kind`, and its settings."""
    server = entry.get("server", "average")
    return dict(server) if isinstance(server, Mapping) else {"kind": server}


def _method(name: str, entry: dict, where: str) -> Method:
    kind = entry.get("algorithm", name)
    if kind not in names("algorithm"):
        raise FedscapeError(f"{where}.algorithm: {unknown('algorithm', kind, names('algorithm'))}")
    common = set(TrainingSettings.__dataclass_fields__)
    own = set(settings_class("algorithm", kind).__dataclass_fields__)
    known = [*sorted(common), *_OWN_KEYS, *sorted(own)]
    problems = Problems()
    for key in entry:
        if key not in known:
            problems.add(f"{where}: {unknown('key', key, known)}")
    for key in entry.get("axis", []):
        if key not in known:
            problems.add(f"{where}.axis: {unknown('key', key, known)}")
    server, own_values = Plugin.of(_server(entry)), {key: entry[key] for key in entry if key in own}
    training = problems.of(_training, kind, {key: entry[key] for key in entry if key in common}, where)
    algorithm = problems.of(plugin, "algorithm", kind, own_values, where)
    server = problems.of(plugin, "server", server.kind, dict(server.settings), f"{where}.server")
    problems.tell()
    if entry.get("client_paths") and not isinstance(training.local_epochs, int):
        raise FedscapeError(
            f"{where}.client_paths: needs local_epochs that are a number, got "
            f"{to_plain(training.local_epochs)}"
        )
    keep_rounds, client_rounds = _kept_rounds(entry, training.rounds, where)
    method = Method(
        training=training,
        algorithm=algorithm,
        server=server,
        keep_rounds=keep_rounds,
        client_rounds=client_rounds,
        client_paths=entry.get("client_paths", False),
        order_seed=entry.get("order_seed"),
        base=name,
    )
    check_training("algorithm", method.algorithm, training, where)
    check_training("server", method.server, training, where)
    if training.average_every != 1 and method.server.kind != "average":
        raise FedscapeError(
            f"{where}.server: average_every {training.average_every} needs server average, "
            f"got {method.server.kind}"
        )
    return method


def _training(kind: str, values: dict, where: str) -> TrainingSettings:
    """The training settings; an algorithm may have aggregation weights of its own as the default."""
    weights = constant("algorithm", kind, "WEIGHTS")
    usual = {} if weights is None else {"weights": weights}
    return checked(TrainingSettings, {**usual, **values}, where)


def _kept_rounds(entry: Mapping, rounds: int, where: str) -> tuple[list[int] | Literal["all"], list[int]]:
    """The rounds whose global models are kept, and those whose clients' are, ascending."""

    def numbers(key: str) -> list[int]:
        return sorted({moment(value, rounds, f"{where}.{key}") for value in entry.get(key, [])})

    client_rounds = [number for number in numbers("client_rounds") if number]
    keep = entry.get("keep_rounds", "all")
    if keep == "all":
        return "all", client_rounds
    every = range(0, rounds + 1, keep["every"]) if isinstance(keep, dict) else ()
    kept = every or numbers("keep_rounds")
    check_count(len(kept), MOST_KEPT, "models (`all` keeps any number)", f"{where}.keep_rounds")
    # A client's update is measured from the global model of the round before: that one is kept too.
    return sorted({0, *kept, *(number - 1 for number in client_rounds), rounds}), client_rounds
