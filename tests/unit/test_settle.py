"""What jobs leave when they have ended goes once Snakemake has recorded them; what it missed is made again."""

import os
from pathlib import Path

import pytest

from fedscape import ended
from fedscape.command.records import FOLDER, STARTED, record_path
from fedscape.command.settle import LOCKS, settle
from fedscape.resume import ResumeFolder

OUTPUTS = ["results/s/quick/runs/a/rows.csv", "results/s/quick/runs/a/model.bin"]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Runs a job with a resume folder, in a repository of its own; it says how often it has computed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ended, "_notes", {})
    ended.keep_notes("results/s/quick/unrecorded", OUTPUTS)
    FOLDER.mkdir(parents=True)
    computed = []

    def run(fingerprint="f", temporary=False):
        with ResumeFolder("results/s/quick/runs/a/resume", fingerprint) as folder:
            if not folder.finished:
                computed.append(fingerprint)
                (folder.folder / "part").write_text("needed until the end")
                folder.commit({"done": 1}, ["part"])
                (folder.folder / "clients").mkdir()
                for path in OUTPUTS:
                    (folder.folder / Path(path).name).write_text("made")
            folder.finish({Path(path).name: path for path in OUTPUTS}, temporary)
        return computed

    return run


def recorded(tmp_path, later=10):
    """Snakemake has recorded the job, so many seconds after its end."""
    (note,) = (tmp_path / "results/s/quick/unrecorded").iterdir()
    for path in OUTPUTS:
        record = record_path(FOLDER, path)
        record.write_text("{}")
        os.utime(record, (note.stat().st_mtime + later,) * 2)


def started():
    return STARTED.is_dir() and sorted(STARTED.iterdir())


def test_a_recorded_job_leaves_nothing(tmp_path, job):
    job()
    assert (tmp_path / "results/s/quick/runs/a/resume").is_dir()
    recorded(tmp_path)
    settle(mark=True)
    assert sorted(path.name for path in (tmp_path / "results/s/quick/runs/a").iterdir()) == [
        "model.bin",
        "rows.csv",
    ]
    assert not list((tmp_path / "results/s/quick/unrecorded").iterdir())
    assert not started()


@pytest.mark.parametrize("record", ["none", "older"])
def test_a_job_whose_end_nobody_saw_counts_as_incomplete_and_is_not_computed_again(
    tmp_path, job, record, capsys
):
    job()
    if record == "older":
        recorded(tmp_path, later=-10)
    settle(mark=True)
    assert started() == sorted(record_path(STARTED, path) for path in OUTPUTS)
    for path in OUTPUTS:
        Path(path).unlink()  # as Snakemake does before it runs the job again
    assert job() == ["f"]
    assert "finished before" in capsys.readouterr().err
    assert [Path(path).read_text() for path in OUTPUTS] == ["made", "made"]


def test_other_settings_are_computed_anew(job):
    job()
    assert job("g") == ["f", "g"]


def test_nothing_is_marked_while_another_snakemake_works_or_when_nobody_asks(job):
    job()
    settle()
    assert not started()
    LOCKS.mkdir(parents=True)
    (LOCKS / "0.input.lock").touch()
    settle(mark=True)
    assert not started()


def test_what_is_removed_after_use_is_kept_until_it_is_recorded_like_all_else(tmp_path, job):
    job(temporary=True)
    settle(mark=True)
    for path in OUTPUTS:
        Path(path).unlink()
    assert job(temporary=True) == ["f"]
    recorded(tmp_path)
    for record in STARTED.iterdir():
        record.unlink()
    for path in OUTPUTS:
        Path(path).unlink()  # used
    settle()
    assert not list((tmp_path / "results/s/quick/runs/a").iterdir())


@pytest.mark.parametrize("reason", ["an output is gone", "it has begun again"])
def test_the_folder_stays_while_it_may_be_needed(tmp_path, job, reason):
    job()
    recorded(tmp_path)
    if reason == "an output is gone":
        Path(OUTPUTS[0]).unlink()
    else:
        record_path(STARTED, OUTPUTS[1]).parent.mkdir(parents=True)
        record_path(STARTED, OUTPUTS[1]).touch()
    settle()
    assert (tmp_path / "results/s/quick/runs/a/resume").is_dir()


def test_only_outputs_are_kept_and_they_take_no_space(tmp_path, job):
    job()
    folder = tmp_path / "results/s/quick/runs/a/resume"
    assert sorted(path.name for path in folder.iterdir()) == [
        "lock",
        "model.bin",
        "progress.json",
        "rows.csv",
    ]
    assert (folder / "rows.csv").samefile(tmp_path / OUTPUTS[0])


def test_what_a_kill_left_of_a_note_goes_with_the_next(tmp_path, job):
    job()
    (note,) = (tmp_path / "results/s/quick/unrecorded").iterdir()
    note.rename(note.with_name(f".{note.name}.4242.tmp"))  # killed before the note had its name
    assert job() == ["f"]
    assert [*note.parent.iterdir()] == [note]


def test_where_links_are_impossible_no_copy_is_kept(tmp_path, job, monkeypatch):
    def no_link(*_):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", no_link)
    job()
    assert not (tmp_path / "results/s/quick/runs/a/resume").exists()


def test_a_library_call_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(ended, "_notes", {})
    with ResumeFolder(tmp_path / "resume", "f") as folder:
        (folder.folder / "rows").write_text("made")
        folder.finish({"rows": tmp_path / "rows.csv"})
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
