"""Examples of the reference: the entries of config/reference/example.yaml, a study with one of each kind."""

import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml

from fedscape.study.files import read_yaml

FOLDER = Path(__file__).resolve().parents[3] / "config" / "reference"
STUDY, EXAMPLE_SETTINGS = FOLDER / "example.yaml", FOLDER / "example-config.yaml"

# Where an entry of a role stands, and the key that names its kind (else the entry's own name does).
_SECTIONS = {
    "dataset": ("datasets", "kind"),
    "partition": ("partitions", "scheme"),
    "model": ("models", "kind"),
    "initial": ("inits", "kind"),
    "algorithm": ("methods", "algorithm"),
    "server": ("methods", "server"),
    "plane": ("planes", "kind"),
    "figure": ("figures", "kind"),
}


def of_kind(role: str, kind: str) -> str:
    """The lines of the first entry of a kind, or nothing."""
    if role == "measure":
        return next((text for measure, text in _columns() if measure == kind), "")
    section, key = _SECTIONS[role]
    file = EXAMPLE_SETTINGS if role == "dataset" else STUDY
    for name, entry in _content(file)[section].items():
        named = entry.get(key, "average" if role == "server" else name)
        if (named["kind"] if isinstance(named, Mapping) else named) == kind:
            return f"{section}:\n{textwrap.indent(_texts(file, section)[name], '  ')}"
    return ""


def of_section(section: str, most: int | None = None) -> str:
    """The lines of a section of the study, or of the first entries of it; nothing if it has none."""
    if section not in _sections(STUDY):
        return ""
    texts = list(_texts(STUDY, section).values())[:most]
    return f"{section}:\n{textwrap.indent(chr(10).join(texts), '  ')}"


def _columns() -> Iterator[tuple[str, str]]:
    """Each column of a table that has a measure, with its line."""
    for table in _children(_sections(STUDY)["tables"]).values():
        columns = _children(table).get("columns")
        for column in columns.value if isinstance(columns, yaml.SequenceNode) else ():
            measure = _children(column).get("measure")
            if measure is not None:
                yield measure.value, _item(STUDY, column)


@cache
def _texts(file: Path, section: str) -> dict[str, str]:
    """The lines of each entry of a section, by name; of a list, by number."""
    node = _sections(file)[section]
    if isinstance(node, yaml.MappingNode):
        return {key.value: _text(file, key, value) for key, value in node.value}
    return {str(number): _item(file, entry) for number, entry in enumerate(node.value)}


def _item(file: Path, node: yaml.Node) -> str:
    return f"- {textwrap.indent(_text(file, node, node), '  ').lstrip()}"


def _text(file: Path, first: yaml.Node, last: yaml.Node) -> str:
    """The file from where one node begins to where another ends, without what it is indented by."""
    text = file.read_text(encoding="utf-8")[first.start_mark.index : last.end_mark.index].rstrip()
    return textwrap.dedent(f"{' ' * first.start_mark.column}{text}")


@cache
def _sections(file: Path) -> dict[str, yaml.Node]:
    return _children(yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader))


@cache
def _content(file: Path) -> dict:
    return read_yaml(file)


def _children(node: yaml.Node) -> dict[str, yaml.Node]:
    return {key.value: value for key, value in node.value}
