"""The files of ours that Python runs for a script or a plug-in, read from their imports, none imported.

A file that is imported for what it defines counts, with all that it imports. To import `a.b.c` Python runs
the `__init__` of `a` and of `a.b` as well, and whatever these import. Of those in passing only what does
something counts: an `__init__` that does more than re-export names of ours (a plain `import` is more), and a
module with statements at top level beyond definitions, constants and imports (`fedscape.study.effects`).
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from fedscape.plugins import PACKAGES, own_folder
from fedscape.study.catalog import LIBRARY
from fedscape.study.effects import does_nothing
from fedscape.study.syntax import is_type_checking, module_named, statements_at_run_time, tree

IMPORT_PATH = (LIBRARY.parent, LIBRARY.parents[1] / "workflow" / "scripts")
"""Folders on a job's import path that are ours: the library's, and its script's own."""
STARTUP = ("sitecustomize", "usercustomize")  # what Python imports by itself, if it is on the path
INIT = "__init__.py"

Import = tuple[Path, bool]  # a file, and whether it is imported for what it defines, not in passing


def reached(files: Iterable[Path]) -> set[Path]:
    """`files`, and whatever of ours counts of what Python runs for them."""
    counted: set[Path] = set()
    passed: set[Path] = set()
    waiting: list[Import] = [imported for name in STARTUP for imported in _module(name)]
    for file in (Path(file).resolve() for file in files):
        waiting += [(file, True), *_packages(_module_name(file))]
    while waiting:
        file, is_used = waiting.pop()
        if is_used or _does_something(file):
            if file not in counted:
                counted.add(file)
                waiting += _imports(file)
        elif file not in passed:
            passed.add(file)
            waiting += ((imported, False) for imported, _ in _imports_at_top(file))
    return counted


def label(file: Path, own: Path | None = None) -> str:
    """The file's name below the folder of the import path that it lies in, or the user's `own` one.

    That of a plug-in of the user's own is as if it lay in the library.
    """
    for folder, package in _joined().items():
        if file.is_relative_to(folder):
            return "/".join([*package.split("."), *file.relative_to(folder).parts])
    folders = (*IMPORT_PATH, *([own] if own else []))
    folder = next((folder for folder in folders if file.is_relative_to(folder)), file.parent)
    return file.relative_to(folder).as_posix()


@cache
def _imports(file: Path) -> tuple[Import, ...]:
    """What `file` imports of ours anywhere in it, but not where only a type checker looks."""
    return tuple(_imports_of(statements_at_run_time(tree(file)), file))


@cache
def _imports_at_top(file: Path) -> tuple[Import, ...]:
    """What `file` imports of ours when it is imported itself and does nothing else."""
    return tuple(_imports_of(_run(file), file))


@cache
def _does_something(file: Path) -> bool:
    """Whether importing a file does more than define what nobody has asked for."""
    if file.name == INIT:
        package = _package(file)
        return not all(
            isinstance(node, ast.Pass)
            or (isinstance(node, ast.ImportFrom) and _is_ours(module_named(node, package)))
            for node in _run(file)
        )
    return not does_nothing(_run(file))


def _run(file: Path) -> list[ast.AST]:
    """The statements at a file's top level, without what only a type checker looks at."""
    nodes: list[ast.AST] = []
    for node in tree(file).body:
        nodes += node.orelse if is_type_checking(node) else [node]
    return nodes


def _imports_of(nodes: Iterable[ast.AST], file: Path) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import a.b` binds `a`, through which all that `a` holds can be used.
                yield from _module(alias.name, packages_used=not alias.asname)
        elif isinstance(node, ast.ImportFrom):
            module = module_named(node, _package(file))
            for alias in node.names:
                yield from _name(module, alias.name)


def _module(module: str, packages_used: bool = False) -> Iterator[Import]:
    """The file of a module that is used, and the packages above it."""
    yield from _packages(module, packages_used)
    file = _find(module)
    if file:
        yield file, True


def _packages(module: str, used: bool = False) -> Iterator[Import]:
    """The `__init__` of each package above a module."""
    parts = module.split(".")
    for depth in range(1, len(parts)):
        init = _find(".".join(parts[:depth]))
        if init:
            yield init, used


def _name(module: str, name: str) -> Iterator[Import]:
    """Where `from module import name` leads: a submodule, or a name, followed through re-exports."""
    waiting, seen = [(module, name)], set()
    while waiting:
        module, name = waiting.pop()
        if (module, name) in seen or not _is_ours(module):
            continue
        seen.add((module, name))
        submodule = f"{module}.{name}"
        if _find(submodule):
            yield from _module(submodule)
        origins = _re_exported(module, name)
        if origins:
            yield from _packages(submodule)
            waiting += origins
        elif not _find(submodule):
            yield from _module(module)


def _re_exported(module: str, name: str) -> list[tuple[str, str]]:
    """Module and name of what a package's `__init__` imports as `name`."""
    file = _find(module)
    if file is None or file.name != INIT or name == "*":
        return []
    return [
        (module_named(node, module.split(".")), alias.name)
        for node in _run(file)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (alias.asname or alias.name) == name
    ]


def _package(file: Path) -> list[str]:
    """The parts of the name of the package that a file belongs to."""
    parts = _module_name(file).split(".")
    return parts if file.name == INIT else parts[:-1]


def _module_name(file: Path) -> str:
    parts = Path(label(file)).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _find(module: str) -> Path | None:
    """The file of a module of ours, or None for anybody else's."""
    if not _is_ours(module):
        return None
    paths = [folder.joinpath(*module.split(".")) for folder in IMPORT_PATH]
    for folder, package in _joined().items():
        if module.startswith(f"{package}."):
            paths.append(folder.joinpath(*module.removeprefix(f"{package}.").split(".")))
    for path in paths:
        for file in (path / INIT, path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file
    return None


@cache
def _joined() -> dict[Path, str]:
    """Folders of the user's own plug-ins, and the package that each is joined to."""
    folders = ((own_folder(role), package) for role, package in PACKAGES.items())
    return {folder.resolve(): f"{LIBRARY.name}.{package}" for folder, package in folders if folder.is_dir()}


def _is_ours(module: str) -> bool:
    return _is_in_path(module.partition(".")[0])


@cache
def _is_in_path(name: str) -> bool:
    """Whether a module or package at top level lies in one of our folders."""
    return any((folder / name).is_dir() or (folder / f"{name}.py").is_file() for folder in IMPORT_PATH)
