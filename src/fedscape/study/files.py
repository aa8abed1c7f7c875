"""Study files and user settings: YAML without surprises, checked against schemas, scales merged in."""

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from fedscape.errors import FedscapeError, reason
from fedscape.study.types import shown, unknown

MOST_VALUES = 1_000_000  # in a file, aliases written out: a hundred times those of the largest study
LARGEST = 2**63 - 1  # whole number that arrays can hold
SHOWN = 40  # characters of a value that an error quotes


def read_yaml(path: Path) -> dict:
    """The keys and values of a YAML file; raises FedscapeError, with the line, for anything else."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FedscapeError(f"{path}: no such file") from None
    except OSError as error:
        raise FedscapeError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise FedscapeError(f"{path}: no YAML text in UTF-8 ({error})") from None
    content = parsed_yaml(text, str(path))
    if not isinstance(content, dict):
        raise FedscapeError(f"{path}: expected keys and values, got {type(content).__name__}")
    return content


def parsed_yaml(text: str, where: str) -> object:
    """The value that YAML text stands for: text, numbers, true, false, null, lists, maps with text as keys.

    Raises FedscapeError, with the line where there is one, for what is no YAML, any other type, a key given
    twice, a number that is infinite or beyond 64 bits, and aliases that hold themselves or grow without end.
    """
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise FedscapeError(f"{where}:{mark.line + 1 if mark else '?'}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise FedscapeError(f"{where}: no YAML text ({reason(error)})") from None
    except RecursionError:
        raise FedscapeError(f"{where}: values within values within values, too deep to read") from None
    left = [content]
    for _ in range(MOST_VALUES):
        if not left:
            return content
        value = left.pop()
        left += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    raise FedscapeError(f"{where}: more than {MOST_VALUES} values; does an alias (*name) hold itself?")


@lru_cache
def read_schema(path: Path) -> dict:
    """A JSON schema written in YAML."""
    return read_yaml(path)


def check(content: dict, schema: dict, where: str) -> None:
    """Raise FedscapeError, in one line, for the first place where `content` breaks `schema`."""
    errors = sorted(_Validator(schema).iter_errors(content), key=lambda error: [str(p) for p in error.path])
    if errors:
        error = errors[0]
        place = ".".join(str(part) for part in error.absolute_path)
        raise FedscapeError(f"{where}: {place}{': ' if place else ''}{_message(error)}")


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


def _message(error: ValidationError) -> str:
    value = error.instance
    if error.validator == "additionalProperties" and isinstance(error.validator_value, bool):
        known = error.schema.get("properties", {})
        return unknown("key", next(key for key in value if key not in known), known)
    if error.validator == "required":
        return f"key '{next(key for key in error.validator_value if key not in value)}' is missing"
    if error.validator in ("pattern", "propertyNames"):
        return (
            f"name '{value}' may hold only a-z, 0-9, '.' and '-', starts with a letter or digit, and has at "
            "most 32 of them"
        )
    if error.validator == "enum":
        return unknown("value", value, error.validator_value)
    if error.validator in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        sign = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}[
            error.validator
        ]
        return f"{shown(value)}, must be {sign} {error.validator_value}"
    if error.validator in ("minItems", "minLength", "minProperties"):
        return f"{shown(value)}, needs {error.validator_value} or more"
    if error.validator in ("maxItems", "maxProperties"):
        return f"{shown(value)}, takes at most {error.validator_value}"
    if error.validator == "uniqueItems":
        return f"{shown(value)}, holds something twice"
    if error.validator == "type":
        wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        words = {
            "integer": "a whole number",
            "number": "a number",
            "string": "text",
            "object": "keys and values",
            "array": "a list",
            "boolean": "true or false",
            "null": "null",
        }
        return f"{shown(value)}, expected {' or '.join(words.get(one, f'a {one}') for one in wanted)}"
    if error.validator == "anyOf":
        meaning = error.schema.get("description") or (error.parent and error.parent.schema.get("description"))
        return f"{shown(value)}, not one of the allowed forms" + (f": {meaning}" if meaning else "")
    return f"{shown(value)} is not allowed"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader for the types of JSON alone, which also refuses a key that stands twice."""

    def construct_object(self, node, deep=False):
        name = node.tag.rpartition(":")[2]
        try:
            if node.tag in self.yaml_constructors and name not in _TYPES:
                raise ValueError
            value = super().construct_object(node, deep)
            if isinstance(value, int) and abs(value) > LARGEST:
                raise ValueError
            if isinstance(value, str) and "\0" in value.encode().decode():  # nor half a character
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError):
            # PyYAML's constructors raise these for what only looks like a date or a number.
            text = f"'{node.value[:SHOWN]}'" if isinstance(node, yaml.ScalarNode) else "this"
            problem = f"{text} is not allowed as {name}; allowed: {_ALLOWED}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None
        return value

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *base` may stand beside keys of the base
                continue
            if key_node.tag != "tag:yaml.org,2002:str":
                found = f"; put {key_node.value} in quotes" if isinstance(key_node, yaml.ScalarNode) else ""
                raise yaml.MarkedYAMLError(
                    problem=f"a key must be text{found}", problem_mark=key_node.start_mark
                )
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key}' stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_float(self, node):
        value = super().construct_yaml_float(node)
        if not math.isfinite(value):
            raise yaml.MarkedYAMLError(
                problem=f"{node.value} is no finite number", problem_mark=node.start_mark
            )
        return value


_TYPES = ("str", "int", "float", "bool", "null", "seq", "map")
_ALLOWED = "text (in quotes where it looks like something else), numbers, true, false, null, lists, maps"
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)

# JSON Schema takes 1.0 for an integer; names, paths and tracked settings do not.
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)
