"""Settings dataclasses from the plain values that a job is handed, and such values of them."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

Settings = TypeVar("Settings")


def options(annotation: object) -> tuple:
    """What an annotation allows: the parts of a union, or it alone."""
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    return typing.get_args(annotation) if is_union else (annotation,)


def nested_settings(annotation: object) -> type | None:
    """The settings dataclass that a field holds, alone or as one of several possibilities, or None."""
    classes = [option for option in options(annotation) if isinstance(option, type)]
    return next((option for option in classes if dataclasses.is_dataclass(option)), None)


def from_plain(cls: type[Settings], values: Mapping[str, object]) -> Settings:
    """A settings dataclass, and those that it holds, from plain values: maps for dataclasses."""
    annotations = _annotations(cls)

    def value_of(name: str) -> object:
        nested = nested_settings(annotations[name])
        value = values[name]
        if typing.get_origin(annotations[name]) is Mapping and not isinstance(value, Mapping):
            return dict(typing.cast(list, value))  # pairs, because keys of a job's settings may hold no dots
        return from_plain(nested, value) if nested and isinstance(value, Mapping) else value

    return cls(**{name: value_of(name) for name in values})


def to_plain(value: object) -> Any:
    """Settings as builtin types: a map for a dataclass, a list for any sequence."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@cache
def _annotations(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)
