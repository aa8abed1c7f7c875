"""The reference in config/reference, a page for each section of a study, and its index in config/README.md.

`python -m fedscape.study.reference` writes them from the schemas, the plug-ins' sources and the example study
(`reference_example`); a test compares.
"""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from fedscape.files import write_text
from fedscape.settings import training
from fedscape.settings.plain import nested_settings
from fedscape.study.catalog import names, settings_class, source
from fedscape.study.files import read_schema
from fedscape.study.reference_example import FOLDER, of_kind, of_section
from fedscape.study.words import as_yaml, schema_words, type_words

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "config" / "README.md"
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"
WRITTEN = "<!-- Written by `make reference`. -->"


@dataclass(frozen=True)
class Page:
    """A page of the reference: a section's keys, and the kinds that its entries may have."""

    title: str
    about: str  # a sentence for the index
    entry: str = ""  # the schema's name of an entry
    roles: tuple[tuple[str, str, str], ...] = ()  # of plug-ins; a heading; the key that names a plug-in
    examples: int | None = 0  # entries of the section that are shown; None: all


# Sections whose entries name plug-ins; of any other the schema says all that there is to say.
_ROLES = {
    "models": (("model", "Kinds", "kind"),),
    "partitions": (("partition", "Schemes", "scheme"),),
    "inits": (("initial", "Kinds", "kind"),),
    "methods": (("algorithm", "Algorithms", "algorithm"), ("server", "Server rules", "server")),
    "planes": (("plane", "Kinds", "kind"),),
    "figures": (("figure", "Kinds", "kind"),),
}


@cache
def pages() -> Mapping[str, Page]:
    """All pages by the names of their files, sections as they stand in the schema."""
    return {
        "config": Page(
            "config/config.yaml",
            "Your settings, and data sets of your own.",
            roles=(("dataset", "Kinds of data sets", "kind"),),
        ),
        "study": Page("A study file", "Every section of `config/studies/<study>.yaml`."),
        **{section: _section_page(section, entry) for section, entry in _entries_of_sections()},
        "measures": Page(
            "Measures",
            "What `measure` of a claim or of a table may be; the examples are columns of a table.",
            roles=(("measure", "Kinds", "measure"),),
        ),
        "scales": Page("scales", _schema("study")["properties"]["scales"]["description"], examples=None),
    }


def _entries_of_sections() -> Iterator[tuple[str, str]]:
    """Each section of a study that has entries, and the schema's name of one of them."""
    definitions = _schema("study")["$defs"]
    for section, schema in _schema("study")["properties"].items():
        entry = schema.get("items") or schema.get("additionalProperties") or {}
        name = entry.get("$ref", "").rpartition("/")[2]
        if name and definitions[name].get("type") == "object":
            yield section, name


def _section_page(section: str, entry: str) -> Page:
    """The page of a section; of tables one is shown, and none beside the examples of plug-ins."""
    roles = _ROLES.get(section, ())
    examples = 0 if roles else 1 if section == "tables" else None
    return Page(section, _schema("study")["properties"][section]["description"], entry, roles, examples)


def page(name: str) -> str:
    """A page of the reference, as Markdown."""
    content, study = pages()[name], _schema("study")
    title = f"`{content.title}`" if name in study["properties"] else content.title
    parts = [WRITTEN, f"# {title}", content.about]
    if content.examples != 0:
        parts.append(_fenced(of_section(name, content.examples)))
    if name == "config":
        keys = _schema("config")["properties"]
        entry = keys["datasets"]["additionalProperties"]["properties"]
        parts += [_keys(keys), "An entry of `datasets` may have, beside the keys of its kind:"]
        parts.append(_keys(entry, {"kind": "dataset"}))
    elif name == "study":
        parts.append(_linked(_keys(study["properties"])))
    elif name == "scales":
        own = study["properties"]["scales"]["additionalProperties"]["properties"]
        parts += [
            "Beside what the study itself may have:",
            _keys({key: own[key] for key in own if key[:4] == "all_"}),
        ]
    elif content.entry:
        kinds = {key: role for role, _, key in content.roles}
        keys = study["$defs"][content.entry]["properties"]
        parts += [_keys(keys, kinds), *_keys_within(keys)]
    if name == "methods":
        parts += _training()
    for role, heading, _ in content.roles:
        parts.append(f"## {heading}")
        for kind in names(role):
            parts += _kind(role, kind)
    return "\n\n".join(part for part in parts if part) + "\n"


def with_index(text: str) -> str:
    """A README with the part between its two marks replaced by the list of pages."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    rows = [
        _row(f"[{content.title}](reference/{name}.md)", content.about) for name, content in pages().items()
    ]
    table = "\n".join(["| page | what |", "| --- | --- |", *rows])
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


@cache
def _schema(name: str) -> dict:
    return read_schema(ROOT / "workflow" / "schemas" / f"{name}.schema.yaml")


def _kind(role: str, kind: str) -> list[str]:
    """A plug-in: what it is, an example, its settings."""
    file = source(role, kind)
    summary, *_ = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n\n")
    example = of_kind(role, kind)
    return [
        f"### `{kind}`",
        " ".join(summary.split()),
        _fenced(example),
        _settings(file, settings_class(role, kind)),
    ]


def _training() -> list[str]:
    """The training settings, and those of them that have keys of their own."""
    cls = training.TrainingSettings
    return [
        "## Training settings",
        "Every method has them, whatever its algorithm.",
        _settings(Path(training.__file__), cls),
        *_parts(cls, ""),
    ]


def _parts(cls: type, before: str) -> list[str]:
    """The fields of a settings class that have keys of their own, and such fields within them."""
    parts = []
    for field in dataclasses.fields(cls):
        nested = nested_settings(field.type)
        if nested:
            name = f"{before}{field.name}"
            text = " ".join((inspect.getdoc(nested) or "").split())
            parts += [f"### Keys of `{name}`", text, _settings(Path(training.__file__), nested)]
            parts += _parts(nested, f"{name}.")
    return parts


def _keys(properties: dict, kinds: Mapping[str, str] = MappingProxyType({})) -> str:
    """A table of a schema's keys. kinds: keys that name a plug-in, and its role."""
    definitions, rows = _schema("study")["$defs"], []
    for key, entry in properties.items():
        words = schema_words(_alone(entry), definitions)
        if key in kinds:
            words = ", ".join(f"[`{kind}`](#{kind})" for kind in names(kinds[key]))
        elif key == "measure":
            words = "[measure](measures.md)"
        rows.append(_row(f"`{key}`", words, entry.get("description", "")))
    return "\n".join(["| key | may be | meaning |", "| --- | --- | --- |", *rows])


def _keys_within(properties: dict) -> list[str]:
    """Of each of a schema's keys that has keys of its own a table of these; of selections runs.md has it."""
    definitions, parts = _schema("study")["$defs"], []
    for key, entry in properties.items():
        for option in entry.get("anyOf", [entry]):
            name = option.get("$ref", "").rpartition("/")[2]
            if name != "where" and "properties" in definitions.get(name, {}):
                parts += [f"## Keys of `{key}`", _keys(definitions[name]["properties"])]
    return parts


def _linked(table: str) -> str:
    """A table of keys with links from sections to their pages."""

    def link(key: re.Match) -> str:
        return f"| [`{key[1]}`]({key[1]}.md)" if key[1] in pages() else key[0]

    return re.sub(r"^\| `(\w+)`", link, table, flags=re.MULTILINE)


def _alone(entry: dict) -> dict:
    """A part of a schema without its description, which says what it means, not what it may be."""
    return {key: value for key, value in entry.items() if key != "description"}


def _settings(file: Path, cls: type) -> str:
    """A table of a settings class: its fields, what they may be, their defaults and comments."""
    fields = dataclasses.fields(cls)
    comments = _comments(file.read_text(encoding="utf-8"), cls.__name__)
    rows = [
        _row(f"`{field.name}`", type_words(field.type), _default(field), comments[field.name])
        for field in fields
    ]
    return (
        "\n".join(["| key | may be | default | meaning |", "| --- | --- | --- | --- |", *rows])
        if rows
        else ""
    )


def _comments(text: str, class_name: str) -> dict[str, str]:
    """What stands beside the fields of a class, or else above them."""
    lines, comments = text.splitlines(), {}
    node = next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == class_name)
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            first = field.lineno - 1
            while lines[first - 1].lstrip().startswith("#"):
                first -= 1
            above = [line.lstrip("# ") for line in lines[first : field.lineno - 1]]
            beside = re.search(r"#\s*(.*)", "\n".join(lines[field.lineno - 1 : field.end_lineno]))
            comments[field.target.id] = beside.group(1) if beside else " ".join(above)
    return comments


def _default(field: dataclasses.Field) -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{as_yaml(field.default)}`"
    if field.default_factory is not dataclasses.MISSING:
        return f"`{as_yaml(field.default_factory())}`"
    return "required"


def _fenced(text: str) -> str:
    """An example; nothing where there is none."""
    return f"```yaml\n{text}\n```" if text else ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    for name in pages():
        write_text(FOLDER / f"{name}.md", page(name))
    write_text(README, with_index(README.read_text(encoding="utf-8")))
