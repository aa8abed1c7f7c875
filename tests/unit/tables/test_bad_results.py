"""CSVs that are cut off or edited, and resume folders that are damaged."""

import json

import numpy as np
import pandas as pd
import pytest
from broken_input import GONE, changed, refusal
from csv_text import ROWS
from table_files import write_table

from fedscape.columns.csvs import csv_text, read_csv
from fedscape.columns.kinds import COLUMNS, FILES
from fedscape.files import read_json
from fedscape.jobs.resume import PROGRESS, Resume, ResumeFolder
from fedscape.tables.read import read_table

TYPES = {name: column.type for name, column in COLUMNS.items()}

TABLES = {
    "nothing": ("", "cut off"),
    "the end of a line cut off": (ROWS[:-2], "cut off"),
    "rows cut off at a line's end": (ROWS[: ROWS.index("pilot,0,2")], "cut off"),
    "a header only, cut off": (ROWS[: ROWS.index("pilot")], "cut off"),
    "a header only": (ROWS[: ROWS.index("pilot")] + "\n", "no rows"),
    "half a row": (ROWS[:-14], "cut off"),
    "half a row and a line end": (ROWS[:-18] + "\n\n", "rows of 3 and of 6 cells"),
    "a row with a cell more": (ROWS[:-1] + "pilot,0,3,1.5,train,true,x\n\n", "rows of 6 and of 7 cells"),
    "all rows with a cell more": (ROWS.replace("e\n", "e,x\n"), "rows of 6 and of 7 cells"),
    "a row twice": (ROWS[:-1] + "pilot,0,2,1.5,train,true\n\n", "a row stands there twice"),
    "a column twice": (ROWS.replace("split", "loss"), "column loss stands there twice"),
    "an empty line": (ROWS + "\n", "rows of 0 and of 6 cells"),
    "a quote without an end": (ROWS[:-1] + '"pilot,0,3,1.5,train,true\n\n', "rows of 1 and of 6 cells"),
    "text among numbers": (ROWS.replace("1.5", "low"), "column loss: 'low' is no number"),
    "true among numbers": (ROWS.replace("2.5", "true").replace("1.5", "true"), "column loss: 'true' is no number"),
    "nan among numbers": (ROWS.replace("1.5", "nan"), "column loss: 'nan' is no number"),
    "a number that overflows": (ROWS.replace("1.5", "1e999"), "column loss: '1e999' is no number"),
    "a time among numbers": (ROWS.replace("1.5", "2026-01-31"), "column loss: '2026-01-31' is no number"),
    "an infinite round": (ROWS.replace("pilot,0,2", "pilot,0,inf"), "column round: 'inf' is no whole number"),
    "half a round": (ROWS.replace("pilot,0,2", "pilot,0,2.5"), "column round: '2.5' is no whole number"),
    "a point without a row of its grid": (ROWS.replace("round", "i").replace("pilot,0,2", "pilot,0,"), "column i: '' is no whole number"),
    "text for a seed": (ROWS.replace("pilot,0,2", "pilot,one,2"), "column seed: 'one' is no number"),
    "a number for true": (ROWS.replace("true", "1.5"), "column diverged: '1.5' is neither true nor false"),
    "no text in UTF-8": (b"study,round\n\xff\xfe,1\n", "'utf-8' codec can't decode"),
    "a conflict of git": ("<<<<<<< HEAD\n" + ROWS, "rows of 1 and of 6 cells"),
    "a page of a web server": ("<html>\n<body>a, b, c</body>\n</html>\n", "cut off"),
    "a longer page": ("<html>\n<body>a, b, c</body>\n</html>\n\n", "rows of 1 and of 3 cells"),
    "zeros after a power cut": (b"\0" * 100, "cut off"),
    "zeros in the middle": (ROWS.replace("pilot,0,2", "\0\0\0\0\0,0,2"), "NUL bytes"),
    "only line ends": ("\n\n", "No columns to parse from file"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_a_csv_that_is_none_is_named(tmp_path, case):
    content, message = TABLES[case]
    path = tmp_path / "rounds.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = refusal(read_csv, path, TYPES, has_rows=True)
    assert said.startswith(f"{path}: not a whole CSV (") and message in said
    assert said.endswith("; delete the file to have it rebuilt")


def test_two_rows_of_the_same_keys_are_named(tmp_path):
    """Two names swapped in a partition's CSV are two rows of one class at one client, of unlike counts."""
    path = tmp_path / "seed0.csv"
    path.write_text(ROWS[:-1] + "pilot,0,2,9,train,true\n\n")
    read_csv(path, TYPES)
    assert "a row stands there twice" in refusal(read_csv, path, TYPES, keys=("study", "seed", "round"))


def test_a_column_that_is_missing_is_named(tmp_path):
    path = tmp_path / "rounds.csv"
    path.write_text(ROWS)
    said = refusal(read_csv, path, TYPES, needed=["study", "client_loss"])
    assert said == f"{path}: column client_loss is missing; delete the file to have it rebuilt"


def test_a_column_that_nobody_knows_is_no_damage(tmp_path):
    path = write_table(tmp_path / "rounds.csv", pd.DataFrame({"round": [1], "mood": ["fine"]}), "rounds")
    assert read_table(path, "rounds")["mood"].tolist() == ["fine"]


@pytest.mark.parametrize("kind", FILES)
def test_a_cut_off_csv_of_any_kind_is_found(tmp_path, kind):
    """Wherever it is cut, in a line or at its end, and whichever column is taken out."""
    frame = pd.DataFrame({FILES[kind].columns[0]: ["a", "b"]})
    path = write_table(tmp_path / "a.csv", frame, kind)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert str(path) in refusal(read_table, path, kind)
    path.write_bytes(whole)
    assert len(read_table(path, kind)) == len(frame)
    for column in FILES[kind].columns[1:]:
        write_table(path, frame, kind, without=[column])
        assert f"column {column} is missing" in refusal(read_table, path, kind)


def test_a_csv_that_is_not_there_is_named(tmp_path):
    assert refusal(read_csv, tmp_path / "rounds.csv").startswith(f"{tmp_path}/rounds.csv: not a whole CSV (")
    assert refusal(read_csv, tmp_path).startswith(f"{tmp_path}: not a whole CSV (")


def test_what_a_csv_may_hold(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        'study,method,seed,loss,class_name,diverged\npilot,0.1,*,inf,"a,\n""b",true\npilot,1e3,0,,null,false\n\n'
    )
    frame = read_csv(path, TYPES)
    assert frame["method"].tolist() == ["0.1", "1e3"] and frame["seed"].tolist() == ["*", "0"]
    assert np.isinf(frame["loss"][0]) and np.isnan(frame["loss"][1])
    assert frame["class_name"].tolist() == ['a,\n"b', "null"] and frame["diverged"].tolist() == [True, False]
    assert csv_text(frame) == path.read_text()


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "nan", '{"a": 1}}', "{" * 100_000])
def test_a_json_file_that_is_none_is_named(tmp_path, text):
    path = tmp_path / "dataset.json"
    path.write_text(text)
    assert refusal(read_json, path).startswith(f"{path}: not a whole JSON object (")


# Resume folders: what is damaged is not continued, and the log says why

STATES = [
    ("fingerprint", GONE),
    ("fingerprint", 5),
    ("finished", ["../../../precious"]),
    ("finished", 5),
    ("progress", GONE),
    ("progress", []),
    ("progress/round", -1),
    ("progress/round", "many"),
    ("progress/bytes", 10**30),
    ("files", []),
    ("files/rows", 0),
    ("files", {"../../precious": 1}),
    ("check", GONE),
    ("check", "0" * 16),
]


@pytest.fixture
def folder(tmp_path):
    with ResumeFolder(Resume(tmp_path / "resume", "a")) as folder:
        (folder.folder / "rows").write_text("one")
        folder.commit({"round": 3, "bytes": 3}, ["rows"])
    return tmp_path / "resume"


def assert_starts_afresh(folder, capsys):
    with ResumeFolder(Resume(folder, "a")) as again:
        assert again.progress == {} and not again.finished
        assert sorted(path.name for path in folder.iterdir()) == ["lock"]
    (line,) = capsys.readouterr().err.splitlines()
    assert str(folder) in line and line.endswith("; starting afresh")


@pytest.mark.parametrize(("place", "value"), STATES)
def test_an_edited_state_is_not_continued(folder, capsys, place, value):
    state = json.loads((folder / PROGRESS).read_text())
    (folder / PROGRESS).write_text(json.dumps(changed(state, place, value)))
    assert_starts_afresh(folder, capsys)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"\0" * 300, b"\xff\xfe", b"[" * 100_000, b'{"check": "0"}']
)
def test_a_state_that_is_none_is_not_continued(folder, capsys, content):
    (folder / PROGRESS).write_bytes(content)
    assert_starts_afresh(folder, capsys)


@pytest.mark.parametrize("content", [b"", b"on", b"one\n", b"ine", None])
def test_a_damaged_file_is_not_continued(folder, capsys, content):
    (folder / "rows").unlink()
    if content is not None:
        (folder / "rows").write_bytes(content)
    assert_starts_afresh(folder, capsys)


def test_files_that_a_state_no_longer_needs_may_change(folder):
    with ResumeFolder(Resume(folder, "a")) as again:
        (folder / "more").write_text("two")
        again.commit({"round": 4}, ["more"])
    (folder / "rows").unlink()
    with ResumeFolder(Resume(folder, "a")) as again:
        assert again.progress == {"round": 4}


def test_files_are_added_where_the_state_needs_all(folder, capsys):
    with ResumeFolder(Resume(folder, "a")) as again:
        (folder / "more").write_text("two")
        again.commit({"round": 4}, ["more"], adding=True)
    with ResumeFolder(Resume(folder, "a")) as again:
        assert again.progress == {"round": 4}
    (folder / "rows").write_text("ine")
    assert_starts_afresh(folder, capsys)
