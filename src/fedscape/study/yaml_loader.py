"""YAML for settings: the types of JSON, numbers that mean what they show, and no more than a file shows."""

import math
import re
from typing import NoReturn

import yaml

MOST_VALUES = 100_000  # in a file, aliases written out: sixteen times those of the largest study
DEEPEST = 100  # values within values
TOO_DEEP = f"values within values within values, more than {DEEPEST} deep"
LARGEST = 2**63 - 1  # whole number that arrays can hold
SHOWN = 40  # characters of a value that an error quotes

_TYPES = ("str", "int", "float", "bool", "null", "seq", "map")
_ALLOWED = "text (in quotes where it looks like something else), numbers, true, false, null, lists, maps"
_MERGE, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"
# YAML 1.1 reads 010 as 8, 1:30 as 90, 1_0 as 10 and `on` as true, which nobody sees; YAML 1.2 does not.
_PLAIN = {
    "int": re.compile(r"[-+]?(0|[1-9][0-9]*)"),
    "float": re.compile(r"[-+.0-9eE]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
}


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader for settings.

    Raises MarkedYAMLError, with the line, for other types than JSON's, for a key that is no text or stands
    twice, a number that is not finite, beyond 64 bits or not plain decimal, for control characters, and for
    aliases that hold themselves or are too many written out.
    """

    _depth = 0

    def compose_node(self, parent, index):
        # Counted before Python's own limit is near: what is raised there may come from anywhere.
        self._depth += 1
        if self._depth > DEEPEST:
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def get_single_node(self):
        node = super().get_single_node()
        if node is not None:
            _measure(node, {})
        return node

    def construct_object(self, node, deep=False):
        name = node.tag.rpartition(":")[2]
        try:
            if node.tag in self.yaml_constructors and name not in _TYPES:
                raise ValueError
            value = super().construct_object(node, deep)
            if isinstance(value, int) and abs(value) > LARGEST:
                raise ValueError
            if isinstance(value, str) and not _is_text(value):
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError):
            # PyYAML's constructors raise these for what only looks like a date or a number.
            _refuse(node, f"{_quoted(node)} is not allowed as {name}; allowed: {_ALLOWED}")
        if name in _PLAIN and not _PLAIN[name].fullmatch(node.value):
            spelled = str(value).lower() if isinstance(value, bool) else value
            mend = "write that, or put it in quotes if it is text"
            _refuse(node, f"{_quoted(node)} is read as {spelled}; {mend}")
        if isinstance(value, float) and not math.isfinite(value):
            _refuse(node, f"{node.value} is no finite number")
        return value


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """How many values a node holds, aliases written out, and how deep; its keys are checked on the way.

    Looks at each node once. known: what is known of nodes by their identity; None while it is looked at.
    """
    if id(node) in known:
        measured = known[id(node)]
        if measured is None:
            _refuse(node, "an alias (*name) holds itself")
        return measured
    known[id(node)] = None
    inner = []
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        inner = [key_or_value for pair in node.value for key_or_value in pair]
    elif isinstance(node, yaml.SequenceNode):
        inner = node.value
    sizes = [_measure(value, known) for value in inner]
    size = 1 + sum(size for size, _ in sizes)
    depth = 1 + max((depth for _, depth in sizes), default=0)
    if size > MOST_VALUES:
        _refuse(node, f"more than {MOST_VALUES} values, with aliases (*name) written out")
    if depth > DEEPEST:
        _refuse(node, TOO_DEEP)
    known[id(node)] = size, depth
    return size, depth


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if key.tag == _MERGE:  # `<<: *base` may stand beside keys of the base
            continue
        if key.tag != _TEXT or not isinstance(key, yaml.ScalarNode):
            mend = f"; put {key.value[:SHOWN]} in quotes" if isinstance(key, yaml.ScalarNode) else ""
            _refuse(key, f"a key must be text{mend}")
        if key.value in seen:
            _refuse(key, f"key '{key.value[:SHOWN]}' stands twice")
        seen.add(key.value)


def _is_text(value: str) -> bool:
    """Whether text has no half characters, and no control characters but tabs and the ends of lines."""
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", value)


def _quoted(node: yaml.Node) -> str:
    return f"'{node.value[:SHOWN]}'" if isinstance(node, yaml.ScalarNode) else "this"


def _refuse(node: yaml.Node, problem: str) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None
