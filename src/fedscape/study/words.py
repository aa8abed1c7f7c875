"""What a setting may be, in plain words: from the annotation of a field, and from a schema."""

import dataclasses
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping

from fedscape.study.types import LARGEST_WHOLE

_PLAIN = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "`true` or `false`",
    dict: "keys and values",
    types.NoneType: "`null`",
}
_PLURAL = {
    "whole number": "whole numbers",
    "number": "numbers",
    "text": "texts",
    "name": "names",
    "entry": "entries",
}
_COUNTED = re.compile(rf"({'|'.join(_PLURAL)})((?: (?:from|above) \S+)?(?: (?:to|and below) \S+)?)")
# Parts of the schemas that are better named than spelled out.
_NAMED = {
    "name": "name",
    "label": "entry",
    "claim": "entry",
    "where": "[selection](runs.md)",
    "run": "[selection](runs.md)",
    "selection": "list of [selections](runs.md)",
    "density": "keys and values",
    "expectation": "keys and values",
}


def type_words(annotation: object) -> str:
    """The values that a field with this annotation takes."""
    return _either(_options(annotation))


def schema_words(schema: Mapping, definitions: Mapping) -> str:
    """The values that a part of a JSON schema takes. definitions: its `$defs`, by name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        definition = definitions[name]
        return _NAMED.get(name) or definition.get("description") or schema_words(definition, definitions)
    if "const" in schema:
        return f"`{as_yaml(schema['const'])}`"
    if "enum" in schema:
        return _either(f"`{as_yaml(value)}`" for value in schema["enum"])
    if "anyOf" in schema:
        return _either(dict.fromkeys(schema_words(option, definitions) for option in schema["anyOf"]))
    if "propertyNames" in schema:
        return "entries by name"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return _either(_of_kind(kind, schema, definitions) for kind in kinds)


def as_yaml(value: object) -> str:
    """A value as YAML has it; a class of settings with its defaults is a map without entries."""
    if dataclasses.is_dataclass(value):
        return "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(as_yaml, value))}]"
    return value if isinstance(value, str) and value else json.dumps(value)


def _options(annotation: object) -> list[str]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return [words for argument in arguments for words in _options(argument)]
    if origin is typing.Literal:
        return [f"`{as_yaml(value)}`" for value in arguments]
    if origin in (list, tuple):
        return [_list_of(type_words(arguments[0]))]
    return ["keys of its own" if dataclasses.is_dataclass(annotation) else _PLAIN[annotation]]


def _of_kind(kind: str, schema: Mapping, definitions: Mapping) -> str:
    if kind == "array":
        return _list_of(schema_words(schema.get("items", {"type": "object"}), definitions))
    plain = {
        "string": _PLAIN[str],
        "boolean": _PLAIN[bool],
        "null": _PLAIN[types.NoneType],
        "object": _PLAIN[dict],
        "integer": _PLAIN[int],
        "number": _PLAIN[float],
    }[kind]
    return f"{plain}{_limits(schema)}" if kind in ("integer", "number") else plain


def _limits(schema: Mapping) -> str:
    """What a number may be: ` from 3 to 501`, ` above 0`."""
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "and below"}
    limits = [
        f" {words[key]} {as_yaml(schema[key])}"
        for key in words
        if key in schema and schema[key] < LARGEST_WHOLE
    ]
    return "".join(limits)


def _list_of(item: str) -> str:
    if item == _NAMED["where"]:
        return _NAMED["selection"]
    counted = _COUNTED.fullmatch(item)
    return f"list of {_PLURAL[counted[1]]}{counted[2]}" if counted else f"list, each {item}"


def _either(options: Iterable[str]) -> str:
    *others, last = options
    return f"{', '.join(others)} or {last}" if others else last
