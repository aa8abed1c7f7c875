"""Whether a plug-in's file keeps its role's contract, as far as its source says: nothing is imported.

A name that the contract does not have is the file's own if the file uses it. One that nobody uses, and one
that is nearly a name of the contract, is taken for a slip, which would otherwise be ignored without a word.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import get_origin

from fedscape.errors import FedscapeError
from fedscape.study.contracts import CONTRACTS, IMPORTS, Constant, Function
from fedscape.study.syntax import literal
from fedscape.study.types import fits, unknown

_NEARLY = 0.9  # similarity, as difflib has it, from which a name of the file's own is taken for a slip
_OWN = "or a name that the file itself uses, or that begins with _"

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


def check_plugin(role: str, path: Path, module: ast.Module) -> None:
    """Raise FedscapeError, in one line, for the first thing in which a plug-in breaks its role's contract."""
    file = _File(role, path, module)
    for binding in file.bindings:
        file.check_binding(binding)
    file.check_settings()
    file.check_complete()


@dataclass(frozen=True)
class _Binding:
    """A name at the top level of a file, and the statement that gives it a meaning."""

    name: str
    statement: ast.stmt
    imported: str = ""  # what the name is called where it is imported from

    @property
    def is_declared(self) -> bool:
        """Whether it is defined, as a function or a class, or imported; else it is a variable."""
        return isinstance(self.statement, (*_FUNCTIONS, ast.ClassDef, *_IMPORTS))


class _File:
    """A plug-in's source, held against the contract of its role."""

    def __init__(self, role: str, path: Path, module: ast.Module) -> None:
        self.contract, self.path, self.tree = CONTRACTS[role], path, module
        self.bindings = [binding for binding in _bound(module) if not binding.name.startswith("_")]
        nodes = list(ast.walk(module))
        names = (node for node in nodes if isinstance(node, ast.Name))
        self.used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        self.used_attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}

    def check_binding(self, binding: _Binding) -> None:
        """Refuse a name that is nearly one of the contract, and one of it that is something else."""
        constants, functions = self.contract.constants, self.contract.functions
        name, statement = binding.name, binding.statement
        if name in constants:
            self._check_constant(constants[name], binding)
        elif name in functions:
            self._check_function(functions[name], binding)
        elif isinstance(statement, _FUNCTIONS):
            self._check_unlisted(f"function of {self.contract.called}", name, functions, statement)
        elif binding.imported in functions and name not in self.used:
            raise self._error(statement, unknown(f"function of {self.contract.called}", name, functions))
        elif not binding.is_declared and (name.isupper() or _nearest(name, constants)):
            self._check_unlisted(f"constant of {self.contract.called}", name, constants, statement)

    def check_settings(self) -> None:
        """Refuse, in `Settings`, a name that the file does not import, and a method that nobody calls."""
        bound = {binding.name for binding in self.bindings}
        for settings in (node for node in self.tree.body if isinstance(node, ast.ClassDef)):
            if settings.name != "Settings":
                continue
            for node in ast.walk(settings):
                if isinstance(node, ast.Name) and node.id in IMPORTS and node.id not in bound:
                    raise self._error(
                        node,
                        f"Settings uses {node.id}, which the file does not import (add `{IMPORTS[node.id]}`)",
                    )
            for method in (node for node in settings.body if isinstance(node, _FUNCTIONS)):
                self._check_method(method)

    def check_complete(self) -> None:
        """Refuse a file that lacks what its role needs, or gives a constant a value twice."""
        bound = [binding.name for binding in self.bindings]
        for name, function in self.contract.functions.items():
            if function.required and name not in bound:
                raise FedscapeError(
                    f"{self.path}: {self.contract.called} needs a function {_call(name, function)}"
                )
        for name, constant in self.contract.constants.items():
            if bound.count(name) > 1:
                second = [binding for binding in self.bindings if binding.name == name][1]
                raise self._error(second.statement, f"{name} is given a value twice; keep one of them")
            if constant.required and name not in bound:
                example = f"{name} = {constant.example!r}"
                raise FedscapeError(
                    f"{self.path}: {self.contract.called} needs a constant {name}, such as {example}"
                )

    def _check_constant(self, constant: Constant, binding: _Binding) -> None:
        """Refuse a constant that the study layer cannot read, and one of a wrong type."""
        name, statement = binding.name, binding.statement
        value = literal(statement, name) if statement in self.tree.body else None
        try:
            plain = ast.literal_eval(value or "")
        except (ValueError, TypeError, SyntaxError):
            raise self._error(
                statement,
                f"{name} needs a plain value on a line of its own, such as {name} = {constant.example!r}: it "
                "is read without running the file",
            ) from None
        if not _fits(plain, constant):
            raise self._error(statement, f"{name}: got {plain!r}, expected {constant.allowed}")

    def _check_function(self, function: Function, binding: _Binding) -> None:
        """Refuse a plain value where a function belongs, and one that takes other parameters."""
        name, statement = binding.name, binding.statement
        if isinstance(statement, _FUNCTIONS):
            self._check_parameters(function, statement)
            return
        value = literal(statement, name)
        if isinstance(value, (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set)):
            raise self._error(
                statement, f"{name} is called as {_call(name, function)}, got {ast.unparse(value)}"
            )

    def _check_method(self, method: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        methods = self.contract.settings_methods
        if method.name in methods:
            self._check_parameters(methods[method.name], method)
        elif not method.name.startswith("_") and method.name not in self.used_attributes:
            allowed = [*methods, "or a method that the file itself uses, or that begins with _"]
            what = f"method of Settings of {self.contract.called}"
            raise self._error(method, unknown(what, method.name, allowed))

    def _check_unlisted(self, what: str, name: str, listed: Mapping[str, object], node: ast.stmt) -> None:
        """Refuse a name that the contract does not have, unless it is plainly the file's own."""
        nearest = _nearest(name, listed)
        if nearest:
            allowed = ", ".join([*listed, _OWN])
            raise self._error(node, f"unknown {what} '{name}'; did you mean '{nearest}'? allowed: {allowed}")
        if name not in self.used:
            raise self._error(node, unknown(what, name, [*listed, _OWN]))

    def _check_parameters(self, function: Function, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Refuse a function that cannot be called with what the contract gives it, one by one."""
        given, taken = len(function.parameters), node.args
        most = len(taken.posonlyargs) + len(taken.args)
        fewest = most - len(taken.defaults)
        keywords = any(default is None for default in taken.kw_defaults)
        if not fewest <= given or (given > most and not taken.vararg) or keywords:
            called = ", ".join(function.parameters)
            raise self._error(node, f"{node.name}({ast.unparse(taken)}) is called with ({called})")

    def _error(self, node: ast.stmt | ast.expr, message: str) -> FedscapeError:
        return FedscapeError(f"{self.path}:{node.lineno}: {message}")


def _call(name: str, function: Function) -> str:
    return f"{name}({', '.join(function.parameters)})"


def _nearest(name: str, listed: Iterable[str]) -> str | None:
    """The name of a contract that another one nearly is, in whatever letters, if there is one."""
    by_letters = {known.lower(): known for known in listed}
    nearest = get_close_matches(name.lower(), by_letters, n=1, cutoff=_NEARLY)
    return by_letters[nearest[0]] if nearest else None


def _fits(value: object, constant: Constant) -> bool:
    """Whether a constant may have a value: a tuple where the contract has a list, a count from 1."""
    if get_origin(constant.type) is list:
        return isinstance(value, tuple) and len(value) > 0 and fits(list(value), constant.type)
    return fits(value, constant.type) and (not isinstance(value, int) or isinstance(value, bool) or value > 0)


def _bound(node: ast.AST, statement: ast.stmt | None = None) -> Iterator[_Binding]:
    """Every name that a file binds at its top level, also within an `if`, a `try` or a loop."""
    for child in ast.iter_child_nodes(node):
        inner = child if isinstance(child, ast.stmt) else statement
        if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            yield _Binding(child.name, child)
        elif isinstance(child, _IMPORTS):
            for alias in child.names:
                yield _Binding((alias.asname or alias.name).partition(".")[0], child, alias.name)
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store) and inner is not None:
            yield _Binding(child.id, inner)
        elif not isinstance(child, ast.Lambda):
            yield from _bound(child, inner)
