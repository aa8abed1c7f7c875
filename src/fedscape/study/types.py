"""Values from YAML, checked against the annotations of a settings dataclass and spelled canonically."""

import dataclasses
import re
import types
import typing
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from fedscape.errors import FedscapeError
from fedscape.settings.plain import from_plain, options, to_plain
from fedscape.study.problems import Problems

# 1e-1 is text in YAML 1.1, which wants a dot in a number with an exponent.
_NUMBER_AS_TEXT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")

LARGEST_WHOLE = 10**9  # of a whole number
LARGEST_FLOAT = 3.4028234e38  # that 32 bits hold, the type of all weights
SHOWN = 200  # characters of a value that an error quotes

Settings = TypeVar("Settings")


def settings_from(cls: type, values: Mapping[str, object], where: str, beside: Iterable[str] = ()) -> dict:
    """As `checked`, in builtin types."""
    return to_plain(checked(cls, values, where, beside))


def checked(
    cls: type[Settings], values: Mapping[str, object], where: str, beside: Iterable[str] = ()
) -> Settings:
    """Dataclass `cls` with `values` filled in, and one spelling of a number.

    A field that is a settings dataclass itself takes keys and values, and is checked in the same way.
    where: file and key, for the message. beside: keys that may stand there too, for the message. Raises
    FedscapeError, of all that is wrong, on an unknown or missing key, a wrong type, or a value that a class
    refuses.
    """
    fields = {field.name: field for field in _fields(cls)}
    problems = Problems()
    for key in values:
        if key not in fields:
            problems.add(f"{where}: {unknown('key', key, [*beside, *fields])}")
    for name in required_fields(cls):
        if name not in values:
            problems.add(f"{where}: key '{name}' is missing")
    fitting = {
        key: problems.of(typed, value, fields[key].type, f"{where}.{key}")
        for key, value in values.items()
        if key in fields
    }
    problems.tell()
    try:
        return cls(**fitting)
    except (ValueError, TypeError) as error:
        raise FedscapeError(f"{where}: {error}") from None


def filled(cls: type[Settings], entry: Mapping[str, object]) -> Settings:
    """Dataclass `cls` with those keys of an entry that are its fields; the schema has checked them."""
    names = [field.name for field in _fields(cls)]
    return from_plain(cls, {name: entry[name] for name in names if name in entry})


def required_fields(cls: type) -> list[str]:
    """Fields of a dataclass that have no default."""
    none = dataclasses.MISSING
    return [field.name for field in _fields(cls) if field.default is none and field.default_factory is none]


def typed(value: Any, annotation: Any, where: str) -> Any:
    """`value` as `annotation` wants it: an int becomes a float, a map a dataclass where that is asked for."""
    fitting = [option for option in options(annotation) if fits(value, option)]
    if not fitting:
        raise FedscapeError(f"{where}: {shown(value)}, expected {_described(annotation)}")
    if fitting[0] is float:
        if abs(value) > LARGEST_FLOAT:
            raise FedscapeError(f"{where}: got {value}, must be at most {LARGEST_FLOAT:.2g} in size")
        return float(value)
    if fitting[0] is int and abs(value) > LARGEST_WHOLE:
        raise FedscapeError(f"{where}: got {value}, must be at most {LARGEST_WHOLE} in size")
    if dataclasses.is_dataclass(fitting[0]):
        return checked(fitting[0], value, where)
    if isinstance(value, list):
        items = typing.get_args(fitting[0])
        return [typed(item, items[0], where) for item in value] if items else value
    return value


def shown(value: object) -> str:
    """A value as a message quotes it, with a hint where YAML read a number as text."""
    if isinstance(value, str) and _NUMBER_AS_TEXT.fullmatch(value):
        number = float(value)
        spelled = int(number) if number.is_integer() else number
        return f"'{value}' is text (write {spelled!r}; YAML reads numbers in quotes and 1e-1 as text)"
    text = repr(value)
    return f"got {text if len(text) <= SHOWN else text[:SHOWN] + '...'}"


def unknown(what: str, name: object, allowed: Iterable[object]) -> str:
    """`unknown key 'gird'; did you mean 'grid'? allowed: ...`"""
    names = [str(known) for known in allowed]
    name = str(name) if len(str(name)) <= SHOWN else f"{str(name)[:SHOWN]}..."
    near = get_close_matches(name, names, n=1)
    hint = f" did you mean '{near[0]}'?" if near else ""
    return f"unknown {what} '{name}';{hint} allowed: {', '.join(names) or 'none'}"


def fits(value: object, annotation: Any) -> bool:
    """Whether a value is one that `annotation` allows."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, option) for option in arguments)
    if origin is typing.Literal:
        return any(value == literal and type(value) is type(literal) for literal in arguments)
    if origin in (list, tuple):
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value)
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is None:
        return value is None
    if dataclasses.is_dataclass(annotation):
        return isinstance(value, dict)
    return isinstance(value, annotation)


def _described(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_described, arguments))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (list, tuple):
        return f"a list, each {_described(arguments[0])}"
    if dataclasses.is_dataclass(annotation):
        return f"keys and values ({', '.join(field.name for field in dataclasses.fields(annotation))})"
    names = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        dict: "keys and values",
        type(None): "null",
        None: "null",
    }
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _fields(cls: type) -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(cls)
