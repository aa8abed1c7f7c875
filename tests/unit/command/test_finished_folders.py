"""What jobs leave when they have ended goes once Snakemake has recorded them, and nothing else ever goes."""

import json
import os
from pathlib import Path

import pytest

from fedscape.command.finished_folders import remove_finished_folders
from fedscape.jobs import unrecorded as ended
from fedscape.jobs.recorded import FOLDER, STARTED, record_of, record_path, void_records
from fedscape.jobs.resume import Resume, ResumeFolder

OUTPUTS = ["results/s/quick/runs/a/rows.csv", "results/s/quick/runs/a/model.bin"]
RESUME = "results/s/quick/runs/a/resume"
NOTES = "results/s/quick/unrecorded"


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Runs a job with a resume folder, in a repository of its own; it says how often it has computed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ended, "_notes", {})
    ended.keep_notes("results/s/quick", OUTPUTS)
    FOLDER.mkdir(parents=True)
    computed = []

    def run(fingerprint="f", temporary=False):
        void_records("train", OUTPUTS)
        with ResumeFolder(Resume(RESUME, fingerprint)) as folder:
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


def recorded():
    """Snakemake has recorded the job."""
    for path in OUTPUTS:
        record = {"rule": "train", "params": ["['code=\"1\"']"], "input": [], "endtime": 1.0}
        record |= {"record_format_version": 6, "input_checksums": {}}
        record_path(FOLDER, path).write_text(json.dumps(record))


def tree():
    """Every file and folder here."""
    return sorted(str(path) for path in Path().rglob("*"))


def test_a_recorded_job_leaves_nothing(tmp_path, job):
    job()
    assert Path(RESUME).is_dir()
    recorded()
    remove_finished_folders()
    assert sorted(path.name for path in (tmp_path / "results/s/quick/runs/a").iterdir()) == [
        "model.bin",
        "rows.csv",
    ]
    assert not list(Path(NOTES).iterdir())


def test_a_job_whose_end_nobody_saw_is_known_by_its_record_and_is_not_computed_again(job, capsys):
    recorded()  # of the time before
    job()
    assert all(record_of(path).is_void for path in OUTPUTS)
    remove_finished_folders()
    assert Path(RESUME).is_dir()
    for path in OUTPUTS:
        Path(path).unlink()  # as Snakemake does before it runs the job again
    assert job() == ["f"]
    assert "finished before" in capsys.readouterr().err
    assert [Path(path).read_text() for path in OUTPUTS] == ["made", "made"]


def test_other_settings_are_computed_anew(job):
    job()
    assert job("g") == ["f", "g"]


def test_what_is_removed_after_use_is_kept_until_it_is_recorded_like_all_else(tmp_path, job):
    job(temporary=True)
    remove_finished_folders()
    for path in OUTPUTS:
        Path(path).unlink()
    assert job(temporary=True) == ["f"]
    recorded()
    for path in OUTPUTS:
        Path(path).unlink()  # used
    remove_finished_folders()
    assert not list((tmp_path / "results/s/quick/runs/a").iterdir())


@pytest.mark.parametrize("reason", ["an output is gone", "it has begun again", "another process is there"])
def test_the_folder_stays_while_it_may_be_needed(job, reason):
    job()
    recorded()
    if reason == "an output is gone":
        Path(OUTPUTS[0]).unlink()
    elif reason == "it has begun again":
        record_path(STARTED, OUTPUTS[1]).parent.mkdir(parents=True)
        record_path(STARTED, OUTPUTS[1]).touch()
    if reason == "another process is there":
        with ResumeFolder(Resume(RESUME, "f")):
            remove_finished_folders()
    else:
        remove_finished_folders()
    assert Path(RESUME).is_dir()


def note(**changes):
    """A note of the job's with other content."""
    (path,) = Path(NOTES).glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


def precious(folder):
    """A folder of somebody's, with a file in it."""
    Path(folder).mkdir(parents=True)
    Path(folder, "file").write_text("precious")
    return folder


@pytest.mark.parametrize(
    "folder",
    [
        "{elsewhere}",
        "../precious",
        "results",
        "results/s/quick",
        "results/s/quick/../../../precious",
        "results/other/quick/runs",
        "results/s/quick/runs/a",
        "results/s/quick/mine",
        "results/s/quick/linked",
        "results/s/quick/through/folder",
        "",
        ".",
        "/",
        "results/s/quick/\0",
        "results/s/quick/\ud800",
        "results/s/quick/loop",
        "results/s/quick/through/gone",
        7,
        None,
        ["results/s/quick/mine"],
    ],
)
def test_a_note_removes_no_folder_but_a_resume_folder_of_its_own_study(tmp_path, job, capsys, folder):
    job()
    recorded()
    elsewhere = precious(tmp_path / "elsewhere")
    precious("results/other/quick/runs"), precious("results/s/quick/mine"), precious("precious")
    precious("resume")
    (tmp_path / "resume" / "lock").touch()
    Path("results/s/quick/linked").symlink_to(tmp_path / "resume")
    Path("results/s/quick/through").symlink_to(tmp_path)
    Path("results/s/quick/loop").symlink_to("loop")
    Path(".gone.removed").mkdir()  # as the rest of a removed one is called
    Path("folder").mkdir()  # empty, as a resume folder is in its first moment
    path = note(folder=folder.format(elsewhere=elsewhere) if isinstance(folder, str) else folder)
    before = tree()
    remove_finished_folders()
    assert tree() == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fedscape: ")
    assert str(path) in line or str(folder) in line


@pytest.mark.parametrize("link", ["results/s", "results/s/quick", "results/s/quick/unrecorded"])
def test_nothing_is_removed_behind_a_link(tmp_path, job, capsys, link):
    job()
    recorded()
    Path(link).rename(tmp_path / "elsewhere")
    Path(link).symlink_to(tmp_path / "elsewhere")
    before = tree()
    remove_finished_folders()
    assert tree() == before
    assert capsys.readouterr().err.startswith(f"fedscape: {link}: a link leads elsewhere; ")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b'"text"', b"[" * 100_000,
        b'{"folder": "results/s/quick/runs/a/resume", "outputs": [], "temporary": false}',
        b'{"folder": "results/s/quick/runs/a/resume", "outputs": "x", "temporary": false}',
        b'{"folder": "results/s/quick/runs/a/resume", "outputs": [1], "temporary": false}',
        b'{"folder": "results/s/quick/runs/a/resume", "outputs": ["/etc/passwd"], "temporary": false}',
        b'{"folder": "results/s/quick/runs/a/resume", "outputs": ["results/s/quick/a"]}',
        b'{"folder": "results/s/quick/runs/a/resume", "outputs": ["results/s/quick/\\ud800"], "temporary": false}',
        b" " * ((1 << 20) + 1),
    ],
)  # fmt: skip
def test_a_note_of_any_other_content_is_one_line_and_stays(job, capsys, content):
    job()
    recorded()
    (path,) = Path(NOTES).glob("*.json")
    path.write_bytes(content)
    before = tree()
    remove_finished_folders()
    assert tree() == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"fedscape: {path}: ")


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop"])
def test_a_note_that_is_no_file_is_one_line(job, capsys, kind):
    job()
    path = Path(NOTES, "0123.json")
    if kind == "pipe":
        os.mkfifo(path)  # to read it would wait forever
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name)
    remove_finished_folders()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"fedscape: {path}: ")


def test_results_may_be_a_link(tmp_path, job):
    Path("scratch").mkdir()
    Path("results").symlink_to("scratch")
    job()
    recorded()
    remove_finished_folders()
    assert not Path(RESUME).exists()
    assert not list(Path(NOTES).iterdir())


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
    with ResumeFolder(Resume(tmp_path / "resume", "f")) as folder:
        (folder.folder / "rows").write_text("made")
        folder.finish({"rows": tmp_path / "rows.csv"})
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
