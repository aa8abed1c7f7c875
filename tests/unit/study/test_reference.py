"""config/reference: the pages are current, an example of every kind is one that fedscape takes, words are plain."""

import dataclasses
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
import yaml

from fedscape.settings.training import Schedule
from fedscape.study import reference
from fedscape.study.campaign import read_campaign
from fedscape.study.catalog import PACKAGES, names
from fedscape.study.files import read_yaml
from fedscape.study.reference import README, pages, with_index
from fedscape.study.reference import page as written
from fedscape.study.reference_example import EXAMPLE_SETTINGS, FOLDER, STUDY, of_kind
from fedscape.study.words import as_yaml, schema_words, type_words

ROOT = Path(__file__).resolve().parents[3]
page, contents = cache(written), cache(read_yaml)
KINDS = [(role, kind) for role in PACKAGES for kind in names(role)]


@pytest.mark.parametrize("name", pages())
def test_a_page_is_current(name):
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == page(name), "run `make reference`"


def test_the_index_has_every_page_and_no_page_is_left_over():
    text = README.read_text(encoding="utf-8")
    assert with_index(text) == text, "run `make reference`"
    assert {file.stem for file in FOLDER.glob("*.md")} == set(pages())


def test_every_section_of_a_study_has_a_page():
    sections = read_yaml(ROOT / "workflow" / "schemas" / "study.schema.yaml")["properties"]
    alone = {"title", "paper", "datasets", "seeds", "images", "test_images", "validation"}
    assert set(pages()) == set(sections) - alone | {"config", "study", "measures"}


def test_the_example_is_a_study_that_fedscape_takes(tmp_path):
    shutil.copytree(ROOT / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    (tmp_path / "config" / "studies").mkdir(parents=True)
    shutil.copy(STUDY, tmp_path / "config" / "studies" / "example.yaml")
    campaign = read_campaign(tmp_path, read_yaml(EXAMPLE_SETTINGS))
    assert campaign.get("example", "paper").runs and campaign.get("example", "small").runs


@pytest.mark.parametrize(("role", "kind"), KINDS)
def test_every_kind_has_an_example_that_stands_in_the_study(role, kind):
    example = of_kind(role, kind)
    parsed, study, config = yaml.safe_load(example), contents(STUDY), contents(EXAMPLE_SETTINGS)
    if role == "measure":
        columns = [one for table in study["tables"].values() for one in table["columns"]]
        assert parsed[0]["measure"] == kind and parsed[0] in columns
    else:
        ((section, entries),) = parsed.items()
        whole = (config if role == "dataset" else study)[section]
        assert len(entries) == 1 and entries.items() <= whole.items()
    assert example in page({"dataset": "config"}.get(role, _page(role)))


def _page(role: str) -> str:
    return next(name for name, one in pages().items() if role in [first for first, *_ in one.roles])


def test_pages_speak_no_python():
    for name in pages():
        text = re.sub(r"```.*?```", "", page(name), flags=re.DOTALL)
        assert not re.search(r"Literal|\bint\b|\bstr\b|\bbool\b|list\[|\bNone\b|\bTrue\b|\bFalse\b", text), (
            name
        )


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "whole number"),
        (list[int], "list of whole numbers"),
        (Literal["a", "b", "c"], "`a`, `b` or `c`"),
        (Literal["a", "b"] | None, "`a`, `b` or `null`"),
        (int | Literal["auto"], "whole number or `auto`"),
        (list[Literal["a", "b"]], "list, each `a` or `b`"),
        (bool, "`true` or `false`"),
        (Schedule | None, "keys of its own or `null`"),
    ],
)
def test_types_in_plain_words(annotation, words):
    assert type_words(annotation) == words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 3, "maximum": 501}, "whole number from 3 to 501"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "number from 0 and below 1"),
        ({"type": "array", "items": {"type": "integer", "minimum": 0}}, "list of whole numbers from 0"),
        ({"enum": ["split", "together"]}, "`split` or `together`"),
        ({"type": ["string", "null"]}, "text or `null`"),
        ({"$ref": "#/$defs/own", "description": "What it means."}, "a name or a list"),
    ],
)
def test_schemas_in_plain_words(schema, words):
    assert schema_words(schema, {"own": {"description": "a name or a list", "anyOf": []}}) == words


def test_defaults_are_spelled_as_in_yaml():
    @dataclasses.dataclass
    class Nested:
        kind: str = "a"

    for value, text in ((None, "null"), (True, "true"), ("a", "a"), ("", '""'), ([0.9, 1], "[0.9, 1]")):
        assert as_yaml(value) == text and yaml.safe_load(text) == value
    assert as_yaml(Nested()) == "{}"


def test_a_comment_of_several_lines_is_joined():
    text = "class A:\n    # first part,\n    # second part\n    x: int = 1\n    y: int = 2  # beside\n    z: int\n"
    assert reference._comments(text, "A") == {"x": "first part, second part", "y": "beside", "z": ""}
