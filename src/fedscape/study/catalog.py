"""Plug-ins as the study layer sees them: names, files, and settings read from source, never imported.

Importing an algorithm or a model imports torch, which takes seconds in each of the many processes that
parse the Snakefile. So a plug-in's `Settings` class alone is compiled from the file's syntax tree.
"""

import ast
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from fedscape.errors import FedscapeError
from fedscape.study.types import settings_from, unknown

LIBRARY = Path(__file__).resolve().parent.parent

# What a job's settings call a plug-in, and the package where its file lies.
PACKAGES = {
    "dataset": "data.datasets",
    "partition": "data.partitions",
    "model": "models.networks",
    "initial": "federated.initials",
    "algorithm": "federated.algorithms",
    "server": "federated.servers",
    "plane": "landscape.planes",
    "figure": "figures.kinds",
    "measure": "tables.measures",
}


@cache
def names(role: str) -> tuple[str, ...]:
    """Names of all plug-ins of a role: the modules of its package that define `Settings`."""
    files = sorted(_folder(role).glob("*.py"))
    return tuple(path.stem.replace("_", "-") for path in files if _settings_node(path) is not None)


def source(role: str, name: str) -> Path:
    """The file of a plug-in. Raises FedscapeError for other names: a stranger's file may hold any path."""
    if name.replace("_", "-") not in names(role):
        raise FedscapeError(unknown(role, name, names(role)))
    return _folder(role) / f"{name.replace('-', '_')}.py"


@cache
def settings_class(role: str, name: str) -> type:
    """The plug-in's `Settings` dataclass, compiled by itself."""
    module = ast.Module(body=[_settings_node(source(role, name))], type_ignores=[])
    namespace = {
        "dataclass": dataclass,
        "field": field,
        "Literal": Literal,
        "math": math,
        "__name__": f"{role} {name}",
    }
    exec(compile(module, str(source(role, name)), "exec", dont_inherit=True), namespace)
    return namespace["Settings"]


@cache
def constant(role: str, name: str, constant_name: str) -> object | None:
    """A literal that the plug-in's module assigns at top level, or None."""
    for node in _module(source(role, name)).body:
        if isinstance(node, ast.Assign) and [getattr(t, "id", None) for t in node.targets] == [constant_name]:
            return ast.literal_eval(node.value)
    return None


def plugin_settings(role: str, kind: str, values: dict, where: str, beside: Iterable[str] = ()) -> dict:
    """`{"kind": kind, ...}` with the plug-in's own settings checked and its defaults filled in.

    beside: keys that the entry may have beside these, for the message about one that it may not.
    """
    if kind not in names(role):
        raise FedscapeError(f"{where}: {unknown(role, kind, names(role))}")
    return {"kind": kind, **settings_from(settings_class(role, kind), values, where, beside)}


def check_training(role: str, plugin: Mapping[str, object], training: object, where: str) -> None:
    """Ask a plug-in whose `Settings` have a method `check(training)` if it goes with the training settings.

    plugin: as `plugin_settings` gives it. training: TrainingSettings. The method raises ValueError if not; it
    is compiled with the class, so it sees only the names that `settings_class` lets the class see.
    """
    values = {key: value for key, value in plugin.items() if key != "kind"}
    settings = settings_class(role, plugin["kind"])(**values)
    if hasattr(settings, "check"):
        try:
            settings.check(training)
        except ValueError as error:
            raise FedscapeError(f"{where}: {error}") from None


def _folder(role: str) -> Path:
    return LIBRARY.joinpath(*PACKAGES[role].split("."))


@cache
def _settings_node(path: Path) -> ast.ClassDef | None:
    return next((n for n in _module(path).body if isinstance(n, ast.ClassDef) and n.name == "Settings"), None)


@cache
def _module(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
