"""Networks in files of the user's own, `module: mine/net.py:Net`, as the source says: nothing is run.

The file, and what it imports from its own folder, is code that a job runs.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fedscape.errors import FedscapeError
from fedscape.plugins import import_name
from fedscape.regular import is_regular
from fedscape.study.syntax import module_named, statements_at_run_time, tree
from fedscape.study.types import unknown

KIND = "module"
"""The kind of model that such a network is, and the key that names its file and class."""


def own_file(model: Mapping[str, object]) -> Path | None:
    """The file of the network of a model's entry, `kind` and settings, or None for a plug-in's."""
    return Path(str(model[KIND]).rpartition(":")[0]) if model["kind"] == KIND else None


def check_class(model: Mapping[str, object], where: str) -> None:
    """Refuse a file that is not there, one that Python cannot read, and one without the class.

    model: the entry, `kind` and settings. where: file and key, for messages.
    """
    file = own_file(model)
    if file is None:
        return
    if not is_regular(file):
        raise FedscapeError(f"{where}.{KIND}: {file} not found")
    folder, _ = import_name(file)
    for path in own_files(file):
        name = path.relative_to(folder).parts[0].removesuffix(".py")
        if name in sys.stdlib_module_names:
            raise FedscapeError(f"{where}.{KIND}: {path}: Python has another module called {name}; rename it")
    name = str(model[KIND]).rpartition(":")[2]
    names = [*_names(tree(file).body)]
    if name not in names and "*" not in names:
        classes = [node.name for node in tree(file).body if isinstance(node, ast.ClassDef)]
        raise FedscapeError(f"{where}.{KIND}: {file}: {unknown('class', name, classes)}")


def _names(block: Iterable[ast.AST]) -> Iterator[str]:
    """Names that a block of statements may give to a class; `*` for all those of another module."""
    for node in block:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, (ast.If, ast.Try, ast.ExceptHandler)):
            yield from _names(ast.iter_child_nodes(node))


def own_files(file: Path) -> list[Path]:
    """The file and all that it imports from its own folder, wherever it does so; resolved."""
    folder, name = import_name(file)
    counted: dict[Path, None] = {}
    waiting = [file.resolve(), *_modules([name], folder)]
    while waiting:
        path = waiting.pop()
        if path not in counted:
            counted[path] = None
            waiting += _imports(path, folder)
    return list(counted)


def _imports(file: Path, folder: Path) -> Iterator[Path]:
    package = file.parent.relative_to(folder).parts
    for node in statements_at_run_time(tree(file)):
        if isinstance(node, ast.Import):
            yield from _modules([alias.name for alias in node.names], folder)
        elif isinstance(node, ast.ImportFrom):
            if node.level > len(package):
                dots = "." * node.level + (node.module or "")
                raise FedscapeError(f"{file}: `from {dots} import` leads out of its package")
            module = module_named(node, package)
            yield from _modules([module, *(f"{module}.{alias.name}" for alias in node.names)], folder)


def _modules(names: Iterable[str], folder: Path) -> Iterator[Path]:
    """The files in the folder that Python runs to import modules: those of the packages above them too."""
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            path = folder.joinpath(*parts[:length])
            files = (path / "__init__.py", path.with_name(f"{path.name}.py"))
            yield from (next(([file] for file in files if is_regular(file)), []))
