"""Source files as syntax trees without what changes nothing: comments, layout, docstrings, imports' order."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TypeGuard

from fedscape.errors import FedscapeError, reason
from fedscape.regular import open_regular

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # where statements hold statements
_Import = ast.Import | ast.ImportFrom
_TOLD = ("__all__", "__version__")  # what a module says of itself: a new version is no new code


def parsed(file: Path) -> ast.Module:
    """The file's syntax tree. Raises FedscapeError, with the line, for what Python cannot read."""
    try:
        with open_regular(file) as source:
            return ast.parse(source.read(), filename=str(file))
    except SyntaxError as error:
        raise FedscapeError(f"{file}:{error.lineno or 1}: {error.msg}") from None
    except (ValueError, OSError, RecursionError, MemoryError) as error:  # the last two: too deep
        raise FedscapeError(f"{file}: no text of Python ({reason(error)})") from None


@cache
def tree(file: Path) -> ast.Module:
    """The file's syntax tree without docstrings and what the module says of itself.

    A tree has no comments and no layout; imports stand one by one, in an order of ours.
    """
    module = parsed(file)
    module.body = [node for node in module.body if not _is_told(node)] or [ast.Pass()]
    for node in statements(module):
        for block in _BLOCKS:
            held = getattr(node, block, ())
            kept = [statement for statement in held if not _is_text(statement)]
            if held:
                setattr(node, block, _ordered(kept) or [ast.Pass()])
    return module


def spelled(node: object) -> str:
    """A syntax tree as text, without what is empty: versions of Python differ in their empty fields."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return f"{type(node).__name__}({','.join(f'{name}={spelled(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(spelled, node))}]"
    return repr(node)


def statements(module: ast.Module) -> Iterator[ast.AST]:
    """The module and all statements in it, without a look at their expressions, which are many."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        yield node
        for block in _BLOCKS:
            waiting.extend(getattr(node, block, ()))


def statements_at_run_time(module: ast.Module) -> Iterator[ast.AST]:
    """The same without what only a type checker looks at."""
    unseen = {
        id(inner)
        for node in statements(module)
        if is_type_checking(node)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    return (node for node in statements(module) if id(node) not in unseen)


def module_named(node: ast.ImportFrom, package: Sequence[str]) -> str:
    """The full name of the module in `from module import ...`, which may be relative to `package`."""
    base = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def literal(node: ast.stmt, name: str) -> ast.expr | None:
    """The value that a statement gives to `name` and nothing else, or None."""
    if isinstance(node, ast.Assign) and [getattr(target, "id", None) for target in node.targets] == [name]:
        return node.value
    if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", None) == name:
        return node.value
    return None


def is_type_checking(node: ast.AST) -> TypeGuard[ast.If]:
    """Whether a statement is `if TYPE_CHECKING:` or `if typing.TYPE_CHECKING:`, and no more."""
    test = node.test if isinstance(node, ast.If) else None
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _ordered(row: list[ast.stmt]) -> list[ast.stmt]:
    """Statements with each row of imports split up and sorted, as far as formatters may do it.

    Imports that bind one name twice stay as they are: there the last one counts.
    """
    result: list[ast.stmt] = []
    for is_import, group in groupby(row, _is_import):
        if not is_import:
            result += group
            continue
        singles = [single for node in group if _is_import(node) for single in _singles(node)]
        names = [single.names[0].asname or single.names[0].name for single in singles]
        result += sorted(singles, key=spelled) if len(set(names)) == len(names) else singles
    return result


def _is_import(node: ast.stmt) -> TypeGuard[_Import]:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _singles(node: _Import) -> list[_Import]:
    """One import for each name."""
    if isinstance(node, ast.Import):
        return [ast.Import([alias]) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]
    raise TypeError(f"no import: {node}")


def _is_text(node: ast.AST) -> bool:
    """A string that stands alone: a docstring, of whatever."""
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def _is_told(node: ast.AST) -> bool:
    """Whether a statement gives `__all__` or `__version__` a value that runs no code."""
    if not isinstance(node, ast.Assign):
        return False
    names = {getattr(target, "id", "") for target in node.targets}
    return names <= set(_TOLD) and all(
        isinstance(part, (ast.Constant, ast.List, ast.Tuple, ast.Load)) for part in ast.walk(node.value)
    )
