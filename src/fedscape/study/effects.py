"""Modules whose import does nothing but define names, as far as their source says.

What is not known to be harmless counts as doing something: a call at top level, unless it is of `HARMLESS`.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping

from fedscape.study.catalog import LIBRARY

HARMLESS = {
    *("classmethod", "property", "staticmethod", "contextlib.contextmanager", "functools.cache"),
    *("dataclasses.dataclass", "dataclasses.field", "torch.no_grad"),
    *("dict.fromkeys", "frozenset", "type", "logging.getLogger", "numpy.dtype", "pathlib.Path", "re.compile"),
}
"""Calls and decorators that make a value and change nothing."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def does_nothing(statements: Iterable[ast.AST]) -> bool:
    """Whether the statements at a module's top level are definitions, constants and imports alone."""
    statements = list(statements)
    names = dict(_bound(statements))
    return all(
        isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass)) or _is_definition(node, names)
        for node in statements
    )


def _is_definition(node: ast.AST, names: Mapping[str, str]) -> bool:
    """Whether a statement defines a function, a class or a constant, and does nothing beside."""
    if isinstance(node, ast.Pass):
        return True
    if isinstance(node, _FUNCTIONS):
        return _is_harmless(_run_by_definition(node), names, node.decorator_list)
    if isinstance(node, ast.ClassDef):
        return (
            not node.keywords  # a metaclass is code, and so is `__init_subclass__` of a base of ours
            and all(_is_foreign(base, names) for base in node.bases)
            and _is_harmless(node.bases, names, node.decorator_list)
            and all(_is_definition(statement, names) for statement in node.body)
        )
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(map(_is_name, targets)) and _is_harmless([node], names)
    # Run as a program, not imported.
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" and not node.orelse


def _is_foreign(base: ast.AST, names: Mapping[str, str]) -> bool:
    """Whether a base class is Python's or a package's."""
    return _full_name(base, names).partition(".")[0] not in ("", LIBRARY.name)


def _run_by_definition(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.AST]:
    """What Python evaluates when it defines a function, beside decorators: defaults and annotations."""
    return [function.args, *([function.returns] if function.returns else [])]


def _is_name(target: ast.AST) -> bool:
    if isinstance(target, (ast.Tuple, ast.List)):
        return all(map(_is_name, target.elts))
    return isinstance(target, ast.Name)


def _is_harmless(
    nodes: Iterable[ast.AST], names: Mapping[str, str], decorators: Iterable[ast.AST] = ()
) -> bool:
    """Whether evaluating nodes, and decorating, calls nothing but `HARMLESS`."""
    decorators = list(decorators)
    called = [
        inner.func
        for node in (*nodes, *decorators)
        for inner in _evaluated(node)
        if isinstance(inner, ast.Call)
    ]
    applied = [decorator for decorator in decorators if not isinstance(decorator, ast.Call)]
    return all(_full_name(function, names) in HARMLESS for function in (*called, *applied))


def _evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all in it, without the bodies of lambdas."""
    yield node
    for child in [node.args] if isinstance(node, ast.Lambda) else ast.iter_child_nodes(node):
        yield from _evaluated(child)


def _full_name(node: ast.AST, names: Mapping[str, str]) -> str:
    """The dotted name of what is called, through the module's imports; nothing for other expressions."""
    if isinstance(node, ast.Attribute):
        return f"{_full_name(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _bound(statements: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Names at a module's top level: an import's full name, or none of the module's own."""
    for node in statements:
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = "" if node.level else f"{node.module}."
            yield from ((alias.asname or alias.name, above and above + alias.name) for alias in node.names)
        elif isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            yield node.name, ""
        else:
            yield from (
                (name.id, "")
                for name in ast.walk(node)
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            )
