"""What is written for readers: results/README.md explains every column that a file has, and links lead somewhere."""

import re
from pathlib import Path

import pytest

from fedscape.columns.identity import IDENTITY
from fedscape.columns.kinds import FILES
from fedscape.columns.readme import with_columns
from fedscape.examples.verdicts import with_verdicts

ROOT = Path(__file__).resolve().parents[3]
EXPLAINED = ROOT / "results" / "README.md"
PAGES = [
    *ROOT.glob("*.md"),
    *(page for page in ROOT.glob("*/*.md") if page.parent.name[0] != "."),
    *ROOT.glob("docs/examples/**/README.md"),
    *ROOT.glob("config/reference/*.md"),
    *ROOT.glob("docs/notebooks/*.md"),
]
LIBRARY = ROOT / "src" / "fedscape"
ROOMS = {path.name for path in LIBRARY.iterdir() if path.is_dir()} - {"__pycache__"}
OF_EXAMPLES = {
    "src/fedscape/federated/algorithms/my_algorithm.py",
    *re.findall(r"^\d\. .*?: `(\S+)`$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE),
    *(
        path
        for page in ("own-plugins", "tutorial")
        for path in re.findall(
            r"`(src/\S+\.py)`:$", (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), re.M
        )
    ),
}
"""Files that a guide tells its reader to write."""


def test_the_explained_columns_are_current():
    text = EXPLAINED.read_text()
    assert with_columns(text) == text, "run `make reference`"


def test_every_table_begins_as_it_is_explained():
    text = " ".join(EXPLAINED.read_text().split())
    assert f"begins with `{', '.join(IDENTITY)}`" in text
    assert f"`claims.csv` and what belongs to it: with `{', '.join(FILES['claims'].keys)}`" in text
    assert f"a table of the paper: with `{', '.join(FILES['table'].keys)}`" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_leads_to_a_file_and_a_file_that_is_named_is_there(page):
    text = page.read_text(encoding="utf-8")
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    assert not [link for link in links if link and not (page.parent / link).exists()]
    paths = set(re.findall(r"`((?:src|tests|rules|workflow|benchmarks|envs|profiles)/[\w/*.-]+\.\w+)`", text))
    assert not [path for path in paths if path not in OF_EXAMPLES and not list(ROOT.glob(path))]


@pytest.mark.parametrize("file", sorted((ROOT / "src").rglob("*.py")), ids=lambda file: file.stem)
def test_a_room_s_file_that_the_library_names_is_there(file):
    """Docstrings and comments name files by their room: `study/jobs.py`."""
    rooms = "|".join(sorted(ROOMS))
    paths = set(re.findall(rf"(?<![\w./-])((?:{rooms})/[\w/]+\.py)\b", file.read_text(encoding="utf-8")))
    assert not [path for path in paths if not (LIBRARY / path).is_file()]


def test_the_guide_says_what_lives_in_every_room():
    table = (
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| room of ")[2].partition("\n\n")[0]
    )
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(ROOMS)


def test_the_readme_fits_two_screens_and_its_verdicts_are_those_of_the_examples():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    assert with_verdicts(text) == text, "run `make examples`"


def test_the_readme_leads_to_what_is_promised_and_to_security():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(docs/reliability.md)" in text and "(SECURITY.md)" in text
