"""Resume folders: what is committed survives, what is not does not count, and nobody is in each other's way."""

import ast
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from fedscape.errors import FedscapeError
from fedscape.jobs import links, resume, stops
from fedscape.jobs.resume import Resume, ResumeFolder, counts_to


def test_a_fresh_folder_has_no_progress(tmp_path):
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        assert folder.progress == {}
        assert not folder.finished
        assert folder.folder.is_dir()


def test_committed_progress_and_files_survive(tmp_path):
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        (folder.folder / "rows").write_text("one")
        folder.commit({"row": 1})
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        assert folder.progress == {"row": 1}
        assert (folder.folder / "rows").read_text() == "one"


@pytest.mark.parametrize("damage", ["fingerprint", "no json", "cut", "other json", "uncommitted"])
def test_what_cannot_be_continued_starts_afresh(tmp_path, capsys, damage):
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        (folder.folder / "blocks").mkdir()
        (folder.folder / "blocks" / "rows").write_text("one")
        folder.commit({"row": 1})
    progress = tmp_path / "resume" / "progress.json"
    if damage == "uncommitted":
        progress.unlink()
    elif damage != "fingerprint":
        progress.write_text(
            {"no json": "rows", "cut": progress.read_text()[:20], "other json": "[1]"}[damage]
        )
    with ResumeFolder(Resume(tmp_path / "resume", "b" if damage == "fingerprint" else "a")) as folder:
        assert folder.progress == {}
        assert not (folder.folder / "blocks").exists()
    said = capsys.readouterr().err
    assert ("starting afresh" in said) == (damage != "uncommitted")


def test_a_second_process_is_refused(tmp_path):
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        folder.commit({"row": 1})
        with (
            pytest.raises(FedscapeError, match="another process is working here"),
            ResumeFolder(Resume(tmp_path / "resume", "a")),
        ):
            pass
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        assert folder.progress == {"row": 1}


def test_finish_puts_outputs_in_place_and_removes_the_folder(tmp_path):
    out = tmp_path / "results" / "rows.csv"
    before = time.time() - 1
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        (folder.folder / "rows").write_text("one")
        os.utime(folder.folder / "rows", (0, 0))
        folder.finish({"rows": out})
    assert out.read_text() == "one"
    assert out.stat().st_mtime > before, "Snakemake compares times"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results"]
    assert list(out.parent.iterdir()) == [out]


def test_finish_copies_where_links_are_impossible(tmp_path, monkeypatch):
    def no_link(*_):
        raise OSError(next(iter(links.NO_HARD_LINKS)), "no links here")

    monkeypatch.setattr(os, "link", no_link)
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        (folder.folder / "rows").write_text("one")
        folder.finish({"rows": tmp_path / "rows.csv"})
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize("kill_at", range(4))
def test_finish_killed_anywhere_is_finished_by_the_next(tmp_path, monkeypatch, kill_at):
    """The kill comes before the first, second or third link, or before the folder goes."""

    class Killed(BaseException):
        pass

    links = []
    real_link = os.link

    def link(*paths):
        if len(links) == kill_at:
            raise Killed
        links.append(paths)
        real_link(*paths)

    outputs = {name: tmp_path / "out" / name for name in ("a", "b", "c")}
    monkeypatch.setattr(os, "link", link)
    if kill_at == len(outputs):
        monkeypatch.setattr(resume.Path, "rename", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed), ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        for name in outputs:
            (folder.folder / name).write_text(name)
        folder.finish(outputs)
    monkeypatch.undo()
    for path in outputs.values():
        path.unlink(missing_ok=True)  # Snakemake deletes the outputs of a failed job
    with ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        assert folder.finished
        folder.finish(outputs)
    assert {name: path.read_text() for name, path in outputs.items()} == {name: name for name in outputs}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b", "c"]
    assert not (tmp_path / "resume").exists()


def test_a_folder_that_is_none_is_not_emptied(tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(FedscapeError, match="not a resume folder"), ResumeFolder(Resume(tmp_path, "x")):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_a_finished_folder_that_lost_a_file_starts_afresh(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        (folder.folder / "rows").write_text("one")
        folder.finish({"rows": tmp_path / "rows.csv"})
    (tmp_path / "resume" / "rows").unlink()
    with ResumeFolder(Resume(tmp_path / "resume", "x")) as folder:
        assert not folder.finished
        assert folder.progress == {}
    assert "rows: missing or damaged" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_stop_signal_is_noticed_and_handlers_are_restored(tmp_path, number):
    before = signal.getsignal(number)
    message = f"stopped by {number.name}: run again to continue from row 1"
    with pytest.raises(SystemExit, match=message), ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        folder.commit({"row": 1})
        assert folder.stop_requested() is None
        os.kill(os.getpid(), number)
        folder.stop(folder.stop_requested(), "row 1")
    assert signal.getsignal(number) is before


def test_the_time_limit_leaves_room_for_another_step(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(stops.time, "monotonic", lambda: clock[0])
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        for step in (10, 100, 20):  # seconds that the steps take; the longest counts
            clock[0] += step
            folder.commit({"row": 1})
        needed = stops.EXIT_SECONDS + stops.GAP_FACTOR * 100
        monkeypatch.setenv(stops.END_TIME_VARIABLE, str(int(time.time() + needed + 30)))
        assert folder.stop_requested() is None
        monkeypatch.setenv(stops.END_TIME_VARIABLE, str(int(time.time() + needed - 30)))
        assert folder.stop_requested() == "the time limit"


def test_a_killed_process_leaves_the_last_commit_and_no_lock(tmp_path):
    script = textwrap.dedent(
        """
        import os, signal, sys
        from fedscape.jobs.resume import Resume, ResumeFolder
        with ResumeFolder(Resume(sys.argv[1], "a")) as folder:
            for row in range(5):
                folder.commit({"row": row})
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    killed = subprocess.run([sys.executable, "-c", script, tmp_path / "resume"])
    assert killed.returncode == -signal.SIGKILL
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        assert folder.progress == {"row": 4}


def forged(folder, **changes):
    """A committed state with other content and the right checksum, as a hostile one would have."""
    with ResumeFolder(Resume(folder, "a")) as opened:
        opened.commit({"done": 1})
    state = json.loads((folder / "progress.json").read_text())
    del state["check"]
    state |= changes
    plain = json.dumps(state, sort_keys=True)
    state["check"] = hashlib.sha256(plain.encode()).hexdigest()[:16]
    (folder / "progress.json").write_text(json.dumps(state))


@pytest.mark.parametrize(
    "changes",
    [
        {"progress": [1]}, {"progress": None}, {"progress": {"done": "1"}}, {"progress": {"done": True}},
        {"progress": {"done": 4}}, {"progress": {"done": -1}}, {"progress": {}}, {"files": []}, {"files": {"../x": 1}},
        {"files": {"/dev/zero": 1}}, {"finished": "rows"}, {"finished": [1]}, {"finished": ["../rows"]},
        {"finished": ["a\0b"]}, {"more": 1},
    ],
)  # fmt: skip
def test_a_forged_state_starts_afresh(tmp_path, capsys, changes):
    forged(tmp_path / "resume", **changes)
    with ResumeFolder(Resume(tmp_path / "resume", "a"), valid=counts_to(3)) as folder:
        assert folder.progress == {} and not folder.finished
    (line,) = capsys.readouterr().err.splitlines()
    assert "starting afresh" in line and "progress.json" in line


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "deep"])
def test_a_state_that_is_no_file_starts_afresh(tmp_path, kind):
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        folder.commit({"done": 1})
    progress = tmp_path / "resume" / "progress.json"
    progress.unlink()
    if kind == "pipe":
        os.mkfifo(progress)
    elif kind == "folder":
        progress.mkdir()
    elif kind == "link":
        progress.symlink_to("/dev/zero")
    else:
        progress.write_text("[" * 100_000)
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        assert folder.progress == {}
        folder.commit({"done": 1})
    assert progress.is_file() and not progress.is_symlink()


@pytest.mark.parametrize("kind", ["a link to a folder", "a lock that is a link", "a lock that is a folder"])
def test_what_is_no_resume_folder_of_ours_is_refused_and_stays(tmp_path, kind):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    if kind == "a link to a folder":
        (tmp_path / "mine" / "lock").touch()
        (tmp_path / "resume").symlink_to(tmp_path / "mine")
    else:
        (tmp_path / "resume").mkdir()
        if kind == "a lock that is a link":
            (tmp_path / "resume" / "lock").symlink_to(tmp_path / "mine" / "file")
        else:
            (tmp_path / "resume" / "lock").mkdir()
    with pytest.raises(FedscapeError), ResumeFolder(Resume(tmp_path / "resume", "a")):
        pass
    assert (tmp_path / "mine" / "file").read_text() == "mine"


@pytest.mark.parametrize("damage", ["a flipped bit", "cut off", "gone"])
def test_outputs_that_are_damaged_before_they_are_put_in_place_again_are_not(tmp_path, damage):
    (tmp_path / "file").touch()
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        (folder.folder / "rows").write_bytes(b"made")
        with pytest.raises(OSError):  # between its state and the first output
            folder.finish({"rows": tmp_path / "file" / "rows"})
    rows = tmp_path / "resume" / "rows"
    if damage == "gone":
        rows.unlink()
    else:
        rows.write_bytes(b"mada" if damage == "a flipped bit" else b"mad")
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        assert not folder.finished and not rows.exists()


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", "nowhere"])
def test_a_link_in_a_resume_folder_is_not_read(tmp_path, target):
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        folder.commit({"done": 1})
        (folder.folder / "growing").symlink_to(target)
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        assert folder.progress == {} and not (folder.folder / "growing").is_symlink()


def test_one_module_removes_folders():
    folder = Path(resume.__file__).parents[1]

    def using(*names):
        return {
            file.relative_to(folder).as_posix()
            for file in folder.rglob("*.py")
            for node in ast.walk(ast.parse(file.read_text()))
            if getattr(node, "attr", getattr(node, "id", None)) in names
        }

    assert using("rmtree", "rmdir", "removedirs", "move") == {"jobs/resume_state.py"}
    # These remove what they have made themselves a moment before.
    assert using("TemporaryDirectory") == {"examples/pack.py", "examples/redraw.py"}
