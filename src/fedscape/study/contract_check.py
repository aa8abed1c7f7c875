"""Whether a plug-in's file keeps its role's contract, as far as its source says: nothing is imported.

A name that the contract does not have is the file's own if the file uses it. One that nobody uses, and one
that is nearly a name of the contract, is taken for a slip, which would otherwise be ignored without a word.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import get_origin

from fedscape.errors import FedscapeError
from fedscape.study.contracts import CONTRACTS, Constant, Contract, Function
from fedscape.study.types import fits, unknown

NEARLY = 0.9  # similarity, as difflib has it, from which a name of the file's own is taken for a slip
OWN = "or a name that the file itself uses, or that begins with _"

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_OTHER_SCOPES = (*_FUNCTIONS, ast.ClassDef)
_BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)


def check_plugin(role: str, file: Path, module: ast.Module) -> None:
    """Raise FedscapeError, in one line, for the first thing in which a plug-in breaks its role's contract."""
    contract = CONTRACTS[role]
    bindings = list(_bound(module))
    names = (node for node in ast.walk(module) if isinstance(node, ast.Name))
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    for one in bindings:
        if not one.name.startswith("_"):
            _check_binding(contract, one, used, f"{file}:{one.node.lineno}")
    bound = [one.name for one in bindings]
    for name, function in contract.functions.items():
        if function.required and name not in bound:
            raise FedscapeError(f"{file}: {contract.called} needs a function {name}({function.parameters})")
    for name, constant in contract.constants.items():
        if bound.count(name) > 1:
            raise FedscapeError(f"{file}: {name} is given a value twice; keep one of them")
        if constant.required and name not in bound:
            raise FedscapeError(
                f"{file}: {contract.called} needs a constant {name}, such as {name} = {constant.example!r}"
            )


def literal(node: ast.stmt, name: str) -> ast.expr | None:
    """The value that a statement gives to `name` and nothing else, or None."""
    if isinstance(node, ast.Assign) and [getattr(one, "id", None) for one in node.targets] == [name]:
        return node.value
    if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", None) == name:
        return node.value
    return None


@dataclass(frozen=True)
class _Binding:
    """A name at the top level of a file, and the statement that gives it a meaning."""

    name: str
    node: ast.stmt
    is_at_top: bool  # not within an `if`, a `try`, a loop


def _check_binding(contract: Contract, one: _Binding, used: set[str], where: str) -> None:
    is_function = isinstance(one.node, _FUNCTIONS)
    if one.name in contract.constants:
        _check_constant(contract.constants[one.name], one, where)
    elif one.name in contract.functions and is_function:
        _check_parameters(contract.functions[one.name], one.node, where)
    elif is_function:
        _check_own(f"function of {contract.called}", one.name, contract.functions, used, where)
    elif one.name.isupper() and not isinstance(one.node, (ast.ClassDef, ast.Import, ast.ImportFrom)):
        _check_own(f"constant of {contract.called}", one.name, contract.constants, used, where)


def _check_constant(constant: Constant, one: _Binding, where: str) -> None:
    """Refuse a constant that the study layer cannot read, and one of a wrong type."""
    try:
        value = ast.literal_eval(literal(one.node, one.name) if one.is_at_top else None)
    except (ValueError, TypeError):
        raise FedscapeError(
            f"{where}: {one.name} needs a plain value on a line of its own, such as {one.name} = "
            f"{constant.example!r}: it is read without running the file"
        ) from None
    if not _fits(value, constant):
        raise FedscapeError(f"{where}: {one.name}: got {value!r}, expected {constant.allowed}")


def _fits(value: object, constant: Constant) -> bool:
    """Whether a constant may have a value: a tuple where the contract has a list."""
    if get_origin(constant.type) is list:
        return isinstance(value, tuple) and fits(list(value), constant.type)
    return fits(value, constant.type)


def _check_own(what: str, name: str, declared: Mapping[str, object], used: set[str], where: str) -> None:
    """Refuse a name that the contract does not have, unless it is plainly the file's own."""
    if name not in used or get_close_matches(name, declared, n=1, cutoff=NEARLY):
        raise FedscapeError(f"{where}: {unknown(what, name, [*declared, OWN])}")


def _check_parameters(function: Function, node: ast.FunctionDef | ast.AsyncFunctionDef, where: str) -> None:
    """Refuse a function that cannot be called with what the contract gives it, one by one."""
    given, taken = len(function.parameters.split(", ")), node.args
    most = len(taken.posonlyargs) + len(taken.args)
    fewest = most - len(taken.defaults)
    keywords = any(default is None for default in taken.kw_defaults)
    if not fewest <= given or (given > most and not taken.vararg) or keywords:
        raise FedscapeError(
            f"{where}: {node.name}({ast.unparse(taken)}) is called with ({function.parameters})"
        )


def _bound(node: ast.AST, is_at_top: bool = True) -> Iterator[_Binding]:
    """Every name that the file binds at its top level, also within an `if`, a `try` or a loop."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            for name in _names(child):
                yield _Binding(name, child, is_at_top)
        if isinstance(child, _BLOCKS) and not isinstance(child, _OTHER_SCOPES):
            yield from _bound(child, is_at_top=False)


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, _OTHER_SCOPES):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from ((one.asname or one.name).partition(".")[0] for one in node.names)
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for one in ast.walk(target):
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                    yield one.id
