"""Networks in files of the user's own, `module: mine/net.py:Net`, as the source says: nothing is run.

The file, and what it imports from its own folder, is code that a job runs.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fedscape.errors import FedscapeError, reason
from fedscape.plugins import import_name
from fedscape.regular import is_regular
from fedscape.study.syntax import statements_at_run_time, tree
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
    for path in own_files(file):
        _parsed(path)
    name = str(model[KIND]).rpartition(":")[2]
    classes = [node.name for node in _parsed(file).body if isinstance(node, ast.ClassDef)]
    if name not in classes:
        raise FedscapeError(f"{where}.{KIND}: {file}: {unknown('class', name, classes)}")


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
    for node in statements_at_run_time(_parsed(file)):
        if isinstance(node, ast.Import):
            yield from _modules([alias.name for alias in node.names], folder)
        elif isinstance(node, ast.ImportFrom):
            if node.level > len(package):
                dots = "." * node.level + (node.module or "")
                raise FedscapeError(f"{file}: `from {dots} import` leads out of its package")
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from _modules([module, *(f"{module}.{alias.name}" for alias in node.names)], folder)


def _modules(names: Iterable[str], folder: Path) -> Iterator[Path]:
    """The files in the folder that Python runs to import modules: those of the packages above them too."""
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            path = folder.joinpath(*parts[:length])
            files = (path / "__init__.py", path.with_name(f"{path.name}.py"))
            yield from (next(([file] for file in files if is_regular(file)), []))


def _parsed(file: Path) -> ast.Module:
    try:
        return tree(file)
    except SyntaxError as error:
        raise FedscapeError(f"{file}:{error.lineno}: {error.msg}") from None
    except (ValueError, OSError, RecursionError) as error:  # ValueError: no UTF-8
        raise FedscapeError(f"{file}: no text of Python ({reason(error)})") from None
