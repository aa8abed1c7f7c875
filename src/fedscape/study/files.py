"""Study files and user settings: YAML without surprises, checked against schemas, scales merged in."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from fedscape.errors import FedscapeError, reason
from fedscape.regular import read_regular
from fedscape.study.problems import Problems
from fedscape.study.types import shown, unknown
from fedscape.study.yaml_loader import Loader

LARGEST_FILE = 400_000  # bytes: ten times those of the largest study
_SIGNS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "object": "keys and values",
    "array": "a list",
    "boolean": "true or false",
    "null": "null",
}
"""Types of JSON Schema, in plain words."""


def read_yaml(path: Path) -> dict:
    """The keys and values of a YAML file; raises FedscapeError, with the line, for anything else."""
    try:
        text = read_regular(path, LARGEST_FILE)
    except FileNotFoundError:
        raise FedscapeError(f"{path}: no such file") from None
    except OSError as error:
        raise FedscapeError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise FedscapeError(f"{path}: no YAML text in UTF-8 ({error})") from None
    content = parsed_yaml(text, str(path))
    if not isinstance(content, dict):
        kind = "nothing" if content is None else type(content).__name__
        raise FedscapeError(f"{path}: expected keys and values, got {kind}")
    return content


def parsed_yaml(text: str, where: str) -> object:
    """The value that YAML text stands for: text, numbers, true, false, null, lists, maps with text as keys.

    Raises FedscapeError, with the line where there is one, for anything else (see `yaml_loader`).
    """
    try:
        return yaml.load(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise FedscapeError(f"{where}:{mark.line + 1 if mark else '?'}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise FedscapeError(f"{where}: no YAML text ({reason(error)})") from None


@lru_cache
def read_schema(path: Path) -> dict:
    """A JSON schema written in YAML."""
    return read_yaml(path)


def check(content: dict, schema: dict, where: str) -> None:
    """Refuse, each in one line, the keys of `content` that break `schema`."""
    problems = Problems()
    for error in sorted(
        _Validator(schema).iter_errors(content), key=lambda error: [str(p) for p in error.path]
    ):
        key = ".".join(map(str, error.absolute_path))
        for message in _messages(error):
            problems.add(f"{where}: {key}{': ' if key else ''}{message}")
    problems.tell()


def at_scale(content: dict, scale: str, file: Path) -> dict:
    """The study as it is at a scale: maps merged by name, the rest replaced, `null` entries left out."""
    change = dict(content["scales"][scale] or {})
    everywhere = {"methods": change.pop("all_methods", {}), "planes": change.pop("all_planes", {})}
    study = {key: value for key, value in content.items() if key != "scales"}
    for section, entries in change.items():
        known = study.get(section, {})
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if entry is None and name not in known:
                raise FedscapeError(f"{file}: scales.{scale}.{section}: {unknown('name', name, known)}")
    for section, settings in everywhere.items():
        # Below what the scale says of an entry by its name, and on entries that only the scale has.
        known = study.get(section, {})
        study[section] = {}
        for name in dict.fromkeys([*known, *change.get(section, {})]):
            entry = known.get(name, {})
            axis = entry.get("axis", [])
            study[section][name] = merged(entry, {key: settings[key] for key in settings if key not in axis})
    return merged(study, change)


def merged(base: Mapping, change: Mapping) -> dict:
    """`change` over `base`; nested maps merge, `null` takes a nested entry out, the rest replaces."""
    result = dict(base)
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            kept = merged(result[key], value)
            result[key] = {name: entry for name, entry in kept.items() if entry is not None}
        else:
            result[key] = value
    return result


def refused_name(name: object) -> str:
    """What is said of a name that no part of a study can have."""
    return (
        f"name '{name}' may hold only a-z, 0-9, '.' and '-', starts with a letter or digit, and has at "
        "most 32 of them"
    )


def _messages(error: ValidationError) -> list[str]:
    """What is wrong with a value: a message for each of its keys that is unknown or missing, else one."""
    value, rule, allowed = _broken(error)
    if rule == "additionalProperties" and isinstance(allowed, bool):
        known = _schema_of(error).get("properties", {})
        return [unknown("key", key, known) for key in value if key not in known]
    if rule == "required":
        return [f"key '{key}' is missing" for key in allowed if key not in value]
    return [_message(error)]


def _message(error: ValidationError) -> str:
    """What is wrong with a value, and what its schema allows."""
    value, rule, allowed = _broken(error)
    if rule in ("pattern", "propertyNames"):
        return refused_name(value)
    if rule == "enum":
        spelled = [one if isinstance(one, str) else json.dumps(one) for one in allowed]  # as YAML has them
        return unknown("value", value, spelled)
    if rule in _SIGNS:
        return f"{shown(value)}, must be {_SIGNS[rule]} {allowed}"
    if rule in ("minItems", "minLength", "minProperties"):
        return f"{shown(value)}, needs {allowed} or more"
    if rule in ("maxItems", "maxProperties"):
        return f"{shown(value)}, takes at most {allowed}"
    if rule == "maxLength":
        return f"{shown(value)}, takes at most {allowed} characters"
    if rule == "uniqueItems":
        return f"{shown(value)}, holds something twice"
    if rule == "type":
        types = allowed if isinstance(allowed, list) else [allowed]
        return f"{shown(value)}, expected {' or '.join(_TYPES.get(name, f'a {name}') for name in types)}"
    if rule == "anyOf":
        above = _schema_of(error.parent) if isinstance(error.parent, ValidationError) else {}
        meaning = _schema_of(error).get("description") or above.get("description")
        return f"{shown(value)}, not one of the allowed forms" + (f": {meaning}" if meaning else "")
    return f"{shown(value)} is not allowed"


def _broken(error: ValidationError) -> tuple[Any, str, Any]:
    """A value, the rule of its schema that it breaks, and what the schema has behind the rule."""
    return error.instance, str(error.validator), error.validator_value


def _schema_of(error: ValidationError) -> Mapping:
    """The schema that a value breaks; jsonschema also has `true` and `false` for such, which say nothing."""
    return error.schema if isinstance(error.schema, Mapping) else {}


def _all_different(_, wanted: bool, instance: object, __) -> Iterator[ValidationError]:
    """`uniqueItems`, in linear time for values of any type."""
    spelled = [json.dumps(item, sort_keys=True) for item in instance] if isinstance(instance, list) else []
    if wanted and len({*spelled}) < len(spelled):
        yield ValidationError("holds something twice")


# JSON Schema takes 1.0 for an integer; names, paths and tracked settings do not.
_Validator = validators.extend(
    Draft202012Validator,
    {"uniqueItems": _all_different},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)
