"""The digest of the code behind a job: its script, its plug-ins, and everything of ours that these import.

Modules are hashed as syntax trees without docstrings, with neighbouring imports in one order, so a comment, a
formatter, a `touch` or another module's edit changes nothing, and an edit two imports away does. Plug-ins
are imported by name at run time, which no reading of the source shows; a job therefore names its own.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

from fedscape.study.catalog import LIBRARY

_ROOT = LIBRARY.parent  # the folder on the import path
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # where statements hold statements


def code_digest(files: Iterable[Path]) -> str:
    """16 hex digits that stand for the code reachable from `files` (scripts and plug-ins)."""
    reached: set[Path] = set()
    waiting = [Path(file).resolve() for file in files]
    while waiting:
        file = waiting.pop()
        if file not in reached:
            reached.add(file)
            waiting.extend(_imports(file))
    # Names relative to the library or bare: the same code in another clone has the same digest.
    hashes = sorted(f"{_label(file)} {_hash(file)}" for file in reached)
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:16]


def _label(file: Path) -> str:
    return file.relative_to(_ROOT).as_posix() if file.is_relative_to(_ROOT) else file.name


@cache
def _hash(file: Path) -> str:
    return hashlib.sha256(_spelled(_tree(file)).encode()).hexdigest()


def _spelled(node: object) -> str:
    """A syntax tree as text, without what is empty: versions of Python differ in their empty fields."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return f"{type(node).__name__}({','.join(f'{name}={_spelled(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_spelled, node))}]"
    return repr(node)


@cache
def _tree(file: Path) -> ast.Module:
    """The file's syntax tree without docstrings and a module's dunder names (a new version is no new code).

    Comments and layout are not in a tree at all; imports stand one by one, in an order of ours.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    tree.body = [node for node in tree.body if not _is_dunder(node)] or [ast.Pass()]
    for node in _statements(tree):
        for block in _BLOCKS:
            statements = getattr(node, block, ())
            kept = [statement for statement in statements if not _is_text(statement)]
            if statements:
                setattr(node, block, _ordered(kept) or [ast.Pass()])
    return tree


def _ordered(statements: list[ast.AST]) -> list[ast.AST]:
    """Statements with each row of imports split up and sorted, as far as formatters may do it.

    Imports that bind one name twice stay as they are: there the last one counts.
    """
    result = []
    for is_import, row in groupby(statements, lambda one: isinstance(one, (ast.Import, ast.ImportFrom))):
        found = [single for one in row for single in (_singles(one) if is_import else [one])]
        names = [one.names[0].asname or one.names[0].name for one in found] if is_import else []
        result += sorted(found, key=_spelled) if len(set(names)) == len(names) > 0 else found
    return result


def _singles(node: ast.Import | ast.ImportFrom) -> list[ast.AST]:
    """One import for each name."""
    if isinstance(node, ast.Import):
        return [ast.Import([alias]) for alias in node.names]
    return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]


def _is_text(node: ast.AST) -> bool:
    """A string that stands alone: a docstring, of whatever."""
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def _is_dunder(node: ast.AST) -> bool:
    if not isinstance(node, ast.Assign):
        return False
    names = [getattr(target, "id", "") for target in node.targets]
    return all(name.startswith("__") and name.endswith("__") for name in names)


@cache
def _imports(file: Path) -> tuple[Path, ...]:
    """Files of our own that `file` imports, anywhere in it, but not where only a type checker looks."""
    package = _module_name(file).split(".")
    if file.name != "__init__.py":
        package = package[:-1]
    found: list[Path] = []
    for node in _statements(_tree(file), only_at_runtime=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found += _module_files(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = _origin(node, package)
            for alias in node.names:
                found += _name_files(module, alias.name)
    return tuple(found)


def _origin(node: ast.ImportFrom, package: list[str]) -> str:
    """The full name of the module in `from module import ...`, which may be relative to `package`."""
    base = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def _statements(tree: ast.Module, only_at_runtime: bool = False) -> Iterator[ast.AST]:
    """The module and all statements in it, without a look at their expressions, which are many."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if only_at_runtime and isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting.extend(node.orelse)
            continue
        yield node
        for block in _BLOCKS:
            waiting.extend(getattr(node, block, ()))


def _is_type_checking(test: ast.AST) -> bool:
    """Whether a condition is `TYPE_CHECKING` or `typing.TYPE_CHECKING`, and no more."""
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _module_name(file: Path) -> str:
    if not file.is_relative_to(_ROOT):
        return file.stem
    parts = file.relative_to(_ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _find(module: str) -> Path | None:
    """The file of a module of ours, or None for anybody else's."""
    if module.split(".")[0] != LIBRARY.name:
        return None
    path = _ROOT.joinpath(*module.split("."))
    for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _module_files(module: str) -> list[Path]:
    """The module's file, and the `__init__` of each package above it that does more than re-export."""
    parts = module.split(".")
    above = (_find(".".join(parts[:depth])) for depth in range(1, len(parts)))
    file = _find(module)
    return [init for init in above if init and _has_code(init)] + ([file] if file else [])


def _name_files(module: str, name: str) -> list[Path]:
    """Where `from module import name` leads: a submodule, or a name, followed through re-exports."""
    if _find(f"{module}.{name}"):
        return _module_files(f"{module}.{name}")
    file = _find(module)
    if file is None or file.name != "__init__.py":
        return _module_files(module)
    for node in _tree(file).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _name_files(_origin(node, module.split(".")), alias.name)
    return _module_files(module)


def _has_code(init: Path) -> bool:
    """Whether a package's `__init__` does more than import."""
    return any(not isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass)) for node in _tree(init).body)
