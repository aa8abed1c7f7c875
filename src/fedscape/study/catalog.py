"""Plug-ins as the study layer sees them: names, files, and settings read from source, never imported.

Importing an algorithm or a model imports torch, which takes seconds in each of the many processes that
parse the Snakefile. So a plug-in's `Settings` class alone is compiled from the file's syntax tree.
"""

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from fedscape.errors import FedscapeError
from fedscape.plugins import OWN, PACKAGES, Plugin, own_folder
from fedscape.regular import is_regular
from fedscape.study.contract_check import check_plugin
from fedscape.study.contracts import CONTRACTS, LENT_NAMES
from fedscape.study.problems import Problems
from fedscape.study.syntax import literal, parsed
from fedscape.study.types import settings_from, unknown

LIBRARY = Path(__file__).resolve().parent.parent
_OWN_FOLDERS = {own_folder(role).name: role for role in PACKAGES}
_FILE_NAME = re.compile("[a-z_][a-z0-9_]*")


@cache
def names(role: str) -> tuple[str, ...]:
    """Names of all plug-ins of a role: of modules of its package, then of the user's own, with `Settings`."""
    files = (*sorted(_folder(role).glob("*.py")), *sorted(own_folder(role).glob("*.py")))
    return tuple(path.stem.replace("_", "-") for path in files if _settings_node(path) is not None)


def source(role: str, name: str) -> Path:
    """The file of a plug-in. Raises FedscapeError for other names: a stranger's file may hold any path."""
    if name.replace("_", "-") not in names(role):
        raise FedscapeError(unknown(role, name, names(role)))
    file = f"{name.replace('-', '_')}.py"
    built_in = _folder(role) / file
    return built_in if built_in.is_file() else own_folder(role) / file


@cache
def settings_class(role: str, name: str) -> type:
    """The plug-in's `Settings` dataclass, compiled by itself."""
    file = _checked(role, name)
    module = ast.Module(body=[node for node in [_settings_node(file)] if node], type_ignores=[])
    namespace = {**LENT_NAMES, "__name__": f"{role} {name}"}
    try:
        exec(compile(module, str(file), "exec", dont_inherit=True), namespace)
    except (NameError, TypeError, ValueError) as error:
        raise FedscapeError(
            f"{file}: Settings: {error}; read by itself, the class may use Python's own names and "
            f"{', '.join(LENT_NAMES)}"
        ) from None
    return namespace["Settings"]


@cache
def constant(role: str, name: str, constant_name: str) -> Any:
    """A constant of the role's contract that the plug-in's module has at top level, or None."""
    if constant_name not in CONTRACTS[role].constants:
        raise KeyError(f"{constant_name} is no constant of {CONTRACTS[role].called}")
    for node in _module(_checked(role, name)).body:
        value = literal(node, constant_name)
        if value is not None:
            return ast.literal_eval(value)
    return None


def plugin(role: str, kind: str, values: dict, where: str, beside: Iterable[str] = ()) -> Plugin:
    """A plug-in with its own settings checked and its defaults filled in.

    beside: keys that the entry may have beside these, for the message about one that it may not.
    """
    check_kind(role, kind, where)
    return Plugin(kind, settings_from(settings_class(role, kind), values, where, beside))


def check_kind(role: str, kind: str, where: str) -> None:
    """Refuse the name of a plug-in that its role has not."""
    if kind not in names(role):
        for file in own_folder(role).glob("*.py"):
            if file.stem.replace("_", "-") == kind:
                raise FedscapeError(f"{file}: {CONTRACTS[role].called} needs a class Settings")
        raise FedscapeError(f"{where}: {unknown(role, kind, names(role))}")


def check_training(role: str, rule: Plugin, training: object, where: str) -> None:
    """Ask a plug-in whose `Settings` have a method `check(training)` if it goes with the training settings.

    training: TrainingSettings. The method raises ValueError if not; it is compiled with the class, so it sees
    only the names that `settings_class` lets the class see.
    """
    settings = settings_class(role, rule.kind)(**rule.settings)
    if hasattr(settings, "check"):
        try:
            settings.check(training)
        except ValueError as error:
            raise FedscapeError(f"{where}: {error}") from None


def check_own_plugins() -> None:
    """Refuse, each in one line, files among the user's own plug-ins that would not be found."""
    problems = Problems()
    for path in sorted(OWN.glob("[!._]*")):
        if path.name not in _OWN_FOLDERS and (path.is_dir() or path.suffix == ".py"):
            problems.add(f"{path}: {unknown('folder of plug-ins', path.name, _OWN_FOLDERS)}")
    for folder, role in _OWN_FOLDERS.items():
        for path in sorted((OWN / folder).glob("*.py")):
            if path.stem == "__init__":
                problems.add(f"{path}: never run, as the folder is joined to a package; remove it")
            elif not _FILE_NAME.fullmatch(path.stem):
                problems.add(f"{path}: a plug-in's file is called by a-z, 0-9 and _, as my_{role}.py")
            elif not is_regular(path):
                problems.add(f"{path}: no file")
            elif (_folder(role) / path.name).exists():
                problems.add(f"{path}: fedscape has a file of this name for {folder}; choose another name")
    problems.tell()


def _checked(role: str, name: str) -> Path:
    """The file of a plug-in that keeps the contract of its role."""
    file = source(role, name)
    _check(role, file)
    return file


@cache
def _check(role: str, file: Path) -> None:
    check_plugin(role, file, _module(file))


def _folder(role: str) -> Path:
    return LIBRARY.joinpath(*PACKAGES[role].split("."))


@cache
def _settings_node(path: Path) -> ast.ClassDef | None:
    return next((n for n in _module(path).body if isinstance(n, ast.ClassDef) and n.name == "Settings"), None)


@cache
def _module(path: Path) -> ast.Module:
    return parsed(path)
