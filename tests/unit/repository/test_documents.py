"""What is written for readers: results/README.md explains every column that a file has, and links lead somewhere."""

import re
from pathlib import Path

import pytest

from fedscape.columns.identity import IDENTITY
from fedscape.columns.kinds import FILES
from fedscape.columns.readme import with_columns

ROOT = Path(__file__).resolve().parents[3]
EXPLAINED = ROOT / "results" / "README.md"
PAGES = [
    *ROOT.glob("*.md"),
    *(page for page in ROOT.glob("*/*.md") if page.parent.name[0] != "."),
    *ROOT.glob("docs/examples/**/README.md"),
    *ROOT.glob("config/reference/*.md"),
]


def test_the_explained_columns_are_current():
    text = EXPLAINED.read_text()
    assert with_columns(text) == text, "run `make reference`"


def test_every_table_begins_as_it_is_explained():
    text = " ".join(EXPLAINED.read_text().split())
    assert f"begins with `{', '.join(IDENTITY)}`" in text
    assert f"`claims.csv` and what belongs to it: with `{', '.join(FILES['claims'].keys)}`" in text
    assert f"a table of the paper: with `{', '.join(FILES['table'].keys)}`" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_leads_to_a_file_and_a_test_that_is_named_is_there(page):
    text = page.read_text(encoding="utf-8")
    linked = {one.partition("#")[0] for one in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in one}
    assert not [one for one in linked if one and not (page.parent / one).exists()]
    named = set(re.findall(r"`(tests/[\w/*]+\.py)`", text))
    assert not [one for one in named if not list(ROOT.glob(one))]


def test_the_readme_leads_to_what_is_promised_and_to_security():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(docs/reliability.md)" in text and "(SECURITY.md)" in text
