"""The commands in a project of a user's own, outside the clone."""

import os
from pathlib import Path

import pytest
from edited_study import ROOT
from own_project import forget_sources, write_project

from fedscape import cli
from fedscape.cli import main
from fedscape.command.repository import clone, repository


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project, where we are."""
    monkeypatch.chdir(write_project(tmp_path / "own"))
    forget_sources()
    yield tmp_path / "own"
    forget_sources()


def test_new_makes_an_empty_folder_a_project(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("config/studies/mine.yaml and config/config.yaml are written; next:\n")
    assert f"snakemake -s {ROOT}/Snakefile mine --cores all" in said
    assert main(["new", "other"]) == 0
    assert capsys.readouterr().out.startswith("config/studies/other.yaml is written")
    assert (tmp_path / "config" / "config.yaml").read_text().count("study: mine") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config"]
    assert main(["status"]) == 0
    assert capsys.readouterr().out.startswith("mine at quick: 0 of ")


def test_new_leaves_the_settings_of_another_workflow_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("samples: theirs\n")
    (tmp_path / "Snakefile").touch()
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path / "own")
    assert main(["new", "mine"]) == 0
    assert f"snakemake -s {ROOT}/Snakefile -n mine" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "config").iterdir()) == ["config.yaml"]
    monkeypatch.chdir(tmp_path / "own" / "config" / "studies")
    assert main(["new", "other"]) == 0
    assert capsys.readouterr().out.startswith("other.yaml is written")


def test_a_folder_without_studies_is_a_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("study: pilot\n")
    monkeypatch.chdir(tmp_path)
    assert main(["cost"]) == 1
    said = capsys.readouterr().err
    assert said == "fedscape: config/studies: no study here; `fedscape new NAME` writes one to begin with\n"


@pytest.mark.parametrize("below", [".", "config/studies", "plugins/models"])
def test_commands_work_in_it_and_below(project, monkeypatch, capsys, below):
    monkeypatch.chdir(project / below)
    assert main(["status"]) == 0 and "mine at quick: 0 of " in capsys.readouterr().out
    assert main(["cost", "--config", "scale=paper"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("mine at paper: ") and "seconds a sample, measured on" in said
    figure = project / "results/mine/quick/figures/accuracy.png"
    assert main(["figure", str(figure)]) == 1
    assert "rounds.csv: not there yet, and accuracy is drawn from it" in capsys.readouterr().err
    assert main(["why", str(project / "results/mine/quick/tables/runs.csv")]) == 1
    assert "no records of Snakemake's here" in capsys.readouterr().err


def test_the_clone_is_that_of_the_library_or_the_folder_itself(project, monkeypatch):
    assert clone() == ROOT
    monkeypatch.chdir(ROOT)
    assert clone() == Path()


def test_what_lies_among_results_is_no_project_and_no_clone(project, monkeypatch):
    """A stranger's results may hold anything: plug-ins there would be code, and so would a library."""
    hostile = write_project(project / "results" / "theirs")
    (hostile / "Snakefile").touch()
    (hostile / "src" / "fedscape").mkdir(parents=True)
    (hostile / "src" / "fedscape" / "cli.py").touch()
    for folder in (hostile, hostile / "plugins", hostile / "results"):
        assert repository(folder) == project
    monkeypatch.chdir(hostile)
    monkeypatch.delenv("FEDSCAPE_CLONE", raising=False)
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("started a stranger's library"))
    cli._use_library_of_this_clone()


def test_a_project_in_a_folder_called_results_is_one(tmp_path):
    project = write_project(tmp_path / "results" / "own")
    assert repository(project / "config") == project
