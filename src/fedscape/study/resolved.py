"""A study as it was resolved: scale merged in, defaults filled in, selections written out."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from fedscape.files import write_text
from fedscape.plugins import Plugin
from fedscape.settings.claims import Expectation
from fedscape.settings.plain import to_plain
from fedscape.study.grid import Run
from fedscape.study.stages.every import SECTIONS
from fedscape.study.study import Analyses, DatasetEntry, Study

HEADER = (
    "# The study as it was resolved when `snakemake` last had jobs to run here, and the code of that time.\n"
)
_DERIVED = {"sides", "cells", "groups", "has_runs"}  # of claims, tables and figures: what the rest selects


def write_resolved(study: Study, made_with: Mapping[str, object]) -> None:
    """Write `config.yaml` beside the results of a study; a file that says the same stays as it is.

    made_with: versions and commit.
    """
    text = HEADER + resolved_text(study, made_with)
    path = Path(study.folder, "config.yaml")
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def resolved_text(study: Study, made_with: Mapping[str, object]) -> str:
    """All settings of a study as YAML, below what its results were made with."""
    content = {"made_with": dict(made_with), **resolved(study)}
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(content, Dumper=dumper, sort_keys=False, width=110)


def resolved(study: Study) -> dict:
    """All settings of a study as builtin types; runs by their paths."""
    content: dict[str, Any] = {}
    for field in fields(study):
        value = getattr(study, field.name)
        content.update(_sections(value) if field.name == "analyses" else {field.name: _plain(value)})
    for section in ("claims", "tables", "figures"):
        entries = content[section]
        for entry in entries.values() if isinstance(entries, dict) else entries:
            for key in _DERIVED.intersection(entry):
                del entry[key]
    return content


def _sections(analyses: Analyses) -> dict[str, dict]:
    return {
        section: {
            name: {"settings": SECTIONS[section].plain(entry.settings), "groups": _plain(entry.groups)}
            for name, entry in entries.items()
        }
        for section, entries in analyses.items()
    }


def _plain(value: object) -> Any:
    if isinstance(value, Run):
        return value.path
    if isinstance(value, DatasetEntry):
        own = {key: setting for key, setting in to_plain(value.preprocessing).items() if setting is not None}
        return {**value.keys, **own}
    if isinstance(value, (Plugin, Expectation)):
        return _plain(value.keys)
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
