"""The key reference in config/README.md, written from the schemas and the plug-ins' sources.

`python -m fedscape.study.reference` writes it anew between its two marks; a test compares.
"""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

from fedscape.files import write_text
from fedscape.study.catalog import PACKAGES, names, source
from fedscape.study.files import read_schema
from fedscape.study.training import TrainingSettings
from fedscape.study.types import nested_settings

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "config" / "README.md"
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"

# Sections of the reference that describe an entry of a study file, and the schema's name of that entry.
_ENTRIES = {
    "models": "model", "partitions": "partition", "inits": "init", "methods": "method", "planes": "plane",
    "connectivity": "connection", "curvature": "curvature", "drift": "drift", "figures": "figure",
    "labels": "label", "claims": "claim", "tables": "table",
}  # fmt: skip
_TITLES = {
    "dataset": "Data sets", "partition": "Partition schemes", "model": "Models", "initial": "Starts",
    "algorithm": "Algorithms", "server": "Server rules", "plane": "Plane kinds", "figure": "Figure kinds",
    "measure": "Measures of claims and tables",
}  # fmt: skip


def reference() -> str:
    """The reference as Markdown."""
    schemas = ROOT / "workflow" / "schemas"
    study = read_schema(schemas / "study.schema.yaml")
    parts = ["## config/config.yaml", _table(read_schema(schemas / "config.schema.yaml")["properties"])]
    parts += ["## config/studies/&lt;study&gt;.yaml", _table(study["properties"])]
    scale_only = study["properties"]["scales"]["additionalProperties"]["properties"]
    parts += [
        "### A scale, beside the study's own keys",
        _table({k: v for k, v in scale_only.items() if k.startswith("all_")}),
    ]
    parts += [
        "### Selections: `where`, and each entry of `runs`",
        _table(study["$defs"]["where"]["properties"]),
    ]
    for section, entry in _ENTRIES.items():
        parts += [f"### An entry of `{section}`", _table(study["$defs"][entry]["properties"])]
        if section == "methods":
            parts += _training()
    for role in PACKAGES:
        parts.append(f"## {_TITLES[role]}")
        for name in names(role):
            summary = ast.get_docstring(ast.parse(source(role, name).read_text(encoding="utf-8"))).split(
                "\n\n"
            )[0]
            parts += [f"### `{name}`", " ".join(summary.split()), _settings(source(role, name), "Settings")]
    return "\n\n".join(part for part in parts if part) + "\n"


def with_reference(text: str) -> str:
    """A README with the part between its two marks replaced."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def _training() -> list[str]:
    """The training settings, and those of them that have keys of their own."""
    file = Path(__file__).with_name("training.py")
    return [
        "Training settings, for every algorithm:",
        _settings(file, TrainingSettings.__name__),
        *_parts(file, TrainingSettings, ""),
    ]


def _parts(file: Path, cls: type, before: str) -> list[str]:
    """The fields of a settings class that have keys of their own, and those of these."""
    parts = []
    for field in dataclasses.fields(cls):
        nested = nested_settings(field.type)
        if nested:
            name = f"{before}{field.name}"
            text = " ".join(inspect.getdoc(nested).split())
            parts += [f"Keys of `{name}`. {text}", _settings(file, nested.__name__)]
            parts += _parts(file, nested, f"{name}.")
    return parts


def _table(properties: dict) -> str:
    rows = [_row(f"`{key}`", entry.get("description", "")) for key, entry in properties.items()]
    return "\n".join(["| key | meaning |", "| --- | --- |", *rows])


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _settings(file: Path, class_name: str) -> str:
    """A table of a settings class: its fields with type, default and the comment on their line or above."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    node = next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == class_name)
    rows = []
    for field in node.body:
        if isinstance(field, ast.AnnAssign):
            above = lines[field.lineno - 2] if lines[field.lineno - 2].lstrip().startswith("#") else ""
            comment = re.search(r"#\s*(.*)", "\n".join([*lines[field.lineno - 1 : field.end_lineno], above]))
            meaning = comment.group(1) if comment else ""
            annotation = ast.unparse(field.annotation)
            rows.append(_row(f"`{field.target.id}`", f"`{annotation}`", f"`{_default(field)}`", meaning))
    return (
        "\n".join(["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows]) if rows else ""
    )


def _default(field: ast.AnnAssign) -> str:
    """A field's default as YAML has it; one that a class makes is a list or a map without entries."""
    if isinstance(field.value, ast.Call):
        for keyword in field.value.keywords:
            if isinstance(keyword.value, ast.Lambda):
                return ast.unparse(keyword.value.body)
        return "[]" if ast.unparse(field.value) == "field(default_factory=list)" else "{}"
    return ast.unparse(field.value) if field.value else "required"


if __name__ == "__main__":
    write_text(README, with_reference(README.read_text(encoding="utf-8")))
