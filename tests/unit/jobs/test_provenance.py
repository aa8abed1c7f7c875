"""What a result says of the code that made it."""

import subprocess
from pathlib import Path

import pytest

from fedscape import provenance

NOBODY = ("-c", "user.name=Nobody", "-c", "user.email=nobody@localhost")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *NOBODY, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A repository with a library and a study, all committed."""
    for file in ("src/fedscape/__init__.py", "config/studies/pilot.yaml", "profiles/slurm/config.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("one\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    monkeypatch.setattr(provenance.fedscape, "__file__", str(tmp_path / "src/fedscape/__init__.py"))
    return tmp_path


def test_a_clean_clone_names_its_commit(clone):
    assert provenance.commit() == {"commit": git(clone, "rev-parse", "HEAD"), "dirty": False}


@pytest.mark.parametrize(
    ("file", "dirty"),
    [
        ("src/fedscape/__init__.py", True),
        ("config/studies/pilot.yaml", True),
        ("src/fedscape/mine.py", True),  # a plug-in that nobody has committed
        ("config/studies/mine.yaml", True),
        ("profiles/slurm/config.yaml", False),  # an account makes no other numbers
        ("results/pilot/table.csv", False),
    ],
)
def test_what_is_in_no_commit_makes_it_dirty(clone, file, dirty):
    (clone / file).parent.mkdir(parents=True, exist_ok=True)
    (clone / file).write_text("two\n")
    assert provenance.commit()["dirty"] is dirty


def test_a_commit_of_other_files_is_no_change_of_code(clone):
    first = git(clone, "rev-parse", "HEAD")
    for file, expected in (
        ("docs/page.md", first),
        ("results/pilot/table.csv", first),
        ("src/mine.py", None),
    ):
        (clone / file).parent.mkdir(parents=True, exist_ok=True)
        (clone / file).write_text("two\n")
        assert provenance.last_change() == {"commit": first, "dirty": expected is None}
        git(clone, "add", ".")
        git(clone, "commit", "--quiet", "--message", file)
        expected = expected or git(clone, "rev-parse", "HEAD")
        assert provenance.last_change() == {"commit": expected, "dirty": False}


def test_outside_a_clone_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance.fedscape, "__file__", str(tmp_path / "fedscape/__init__.py"))
    (tmp_path / "fedscape").mkdir()
    assert provenance.commit() == provenance.last_change() == {"commit": None, "dirty": None}
