"""`fedscape new`: a study to begin with."""

import shutil

import pytest
from edited_study import ROOT

from fedscape.cli import main
from fedscape.study.campaign import read_study
from fedscape.study.jobs import jobs_of


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """As much of the repository as a study is read from."""
    for name in ("config", "workflow/schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "Snakefile").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDSCAPE_CLONE", str(tmp_path))
    return tmp_path


def test_a_new_study_is_short_and_whole(clone, capsys):
    assert main(["new", "mine"]) == 0
    text = (clone / "config" / "studies" / "mine.yaml").read_text()
    assert 15 <= len([line for line in text.splitlines() if line.strip()]) <= 25
    assert "snakemake mine --cores all" in capsys.readouterr().out
    study = read_study(clone, {"study": "mine", "scale": "quick", "data_root": "data"})
    assert len(study.runs) == 4 and len(study.figures) == 3
    assert {job.rule for job in jobs_of(study)} >= {"train", "plane", "surface", "path", "figure", "tables"}


def test_a_study_that_is_there_stays(clone, capsys):
    path = clone / "config" / "studies" / "pilot.yaml"
    before = path.read_bytes()
    assert main(["new", "pilot"]) == 1
    assert (
        capsys.readouterr().err
        == "fedscape: config/studies/pilot.yaml: is there already; choose another name\n"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["my-study", "Mine", "../mine", "all", "train", "m" * 33, ""])
def test_a_name_that_no_study_can_have_is_refused(clone, capsys, name):
    assert main(["new", name]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "a study's name is one word of a-z and 0-9" in line
    assert not list(clone.rglob("*mine*"))
