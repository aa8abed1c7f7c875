"""`fedscape status`, `why` and `cost` on results that are damaged, a stranger's, or no files at all.

Whatever lies there, each ends with what it can say, or with one line; and nothing of it runs or reaches the
terminal as it is.
"""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from command_files import RUN, job_of, logged, made, recorded, repository, tiny, training

from fedscape.cli import main
from fedscape.jobs.recorded import FOLDER, STARTED, record_path
from fedscape.study.jobs import jobs_of

DEEP = "[" * 100_000
CONTENTS = {
    "nothing": b"",
    "zeros": b"\0" * 100,
    "bytes": bytes(range(256)) * 40,
    "a list": b"[1]\n",
    "text": b'"x"\n',
    "lists in lists": DEEP.encode(),
    "an object": b"{}\n",
    "a list within": b'{"progress": [1], "params": [[1]], "shape": 3, "record_format_version": 6}\n',
    "text within": b'{"progress": {"round": "x"}, "params": "x", "shape": ["x"], "record_format_version": "6"}\n',
    "a number beyond all": b'{"progress": {"round": 1' + b"0" * 400 + b'}, "shape": [1e999], "train": -1}\n',
    "one long line": b"x," * 200_000 + b"\n",
    "a table": b"round,seconds,evaluation_seconds,test_accuracy,peak_memory_mib\nx,y,nan,inf,1\n\n1\n1,2,3,4,5,6\n",
    "quotes": b'round,"seconds\nx,"y\n',
}


def damaged(path: Path, how: str) -> None:
    """Put something else where a file is wanted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if how == "a folder":
        path.mkdir()
    elif how == "a FIFO":
        os.mkfifo(path)
    elif how == "a device":
        path.symlink_to("/dev/zero")
    elif how == "a link to itself":
        path.symlink_to(path.name)
    elif how == "a dangling link":
        path.symlink_to("nowhere")
    else:
        path.write_bytes(CONTENTS[how])


NO_FILES = ["a FIFO", "a device", "a link to itself", "a dangling link"]
HOW = [*CONTENTS, "a folder", *NO_FILES]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The root of a repository, where we are; no SLURM, and no more patience than ten seconds."""

    def late(*_):
        raise TimeoutError

    root = repository(tmp_path / "clone")
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", str(tmp_path))
    signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    yield root
    signal.alarm(0)


@pytest.fixture
def said(capsys):
    """What a command prints: lines that a terminal can show."""

    def say(*arguments: str) -> tuple[int, list[str]]:
        code = main([*arguments, "--config", "scale=smoke", "study=tiny"])
        found = capsys.readouterr()
        lines = (found.out + found.err).splitlines()
        assert all(line.isprintable() for line in lines)
        assert code == 0 or (len(lines) == 1 and lines[0].startswith("fedscape: "))
        return code, lines

    return say


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_job_leaves_the_others_their_rows(here, said, how):
    job = job_of(here, "train", partition="iid")
    resume = here / RUN / "resume"
    training(here, 12, resume)
    for name in ("timing.csv", "rounds.csv", "lock", "progress.json"):
        damaged(resume / name, how)
        code, lines = said("status", "tiny", "--all")
        assert code == 0 and lines[0] == "tiny at smoke: 0 of 16 jobs done"
        assert any(line.split()[:1] == ["digits/convnet/dir0.1/random/fedavg/seed0"] for line in lines)
    damaged(here / job.log, how)
    damaged(here / job_of(here, "plane").log, how)
    damaged(here / record_path(STARTED, job.outputs[0]), how)
    assert said("status", "tiny", "--all")[0] == 0


@pytest.mark.parametrize("how", ["nothing", *NO_FILES])
@pytest.mark.parametrize(
    "place", ["results", "results/tiny", "results/tiny/smoke", "results/tiny/smoke/logs", RUN, f"{RUN}/resume", ".snakemake", str(STARTED)]
)  # fmt: skip
def test_what_should_be_a_folder_may_be_anything(here, said, place, how):
    damaged(here / place, how)
    assert said("status", "tiny")[0] == 0
    assert said("cost", "tiny")[0] == 0
    said("why", "results/tiny/smoke/tables/runs.csv")


@pytest.mark.parametrize("how", HOW)
def test_records_and_inputs_may_be_anything(here, said, how):
    for job in jobs_of(tiny(here)):
        made(here, job)
    job = job_of(here, "drift")
    recorded(here, job, ["a=1"], input_checksums=dict.fromkeys(job.inputs, "sha256:0"))
    for one in job.inputs:
        damaged(here / one, how)
    assert said("why", job.outputs[0])[0] == 0
    for one in (*job.outputs, *job.inputs):
        damaged(here / record_path(FOLDER, one), how)
    assert said("why", job.outputs[0])[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"params": [5]}, {"params": ["[{[]}]"]}, {"params": ["(" * 500]}, {"params": None}, {"input": [1, "a"]},
        {"input": [{}]}, {"input_checksums": [1]}, {"input_checksums": {"a": 1}}, {"endtime": "x"}, {"rule": []},
        {"record_format_version": None}, {"params": ["['a=\x1b[2J']"]}, {"input": ["\x1b[2J"]},
    ],
)  # fmt: skip
def test_a_record_may_hold_anything(here, said, change):
    for job in jobs_of(tiny(here)):
        made(here, job)
    job = job_of(here, "drift")
    recorded(here, job, ["a=1"], **change)
    assert said("why", job.outputs[0])[0] == 0


@pytest.mark.parametrize("how", HOW)
def test_costs_may_rest_on_anything(here, said, how):
    for path in (
        "results/data/digits/dataset.json",
        f"{RUN}/run.json",
        "results/tiny/smoke/tables/costs.csv",
    ):
        damaged(here / path, how)
    assert said("cost", "tiny")[0] == 0
    damaged(here / "config" / "costs.csv", how)
    code, lines = said("cost", "tiny")
    assert code == 1 and lines[0].startswith("fedscape: config/costs.csv")


def test_a_table_of_costs_that_is_not_there_is_named(here, said):
    (here / "config" / "costs.csv").unlink()
    assert said("cost", "tiny") == (
        1, ["fedscape: config/costs.csv: cannot be read (No such file or directory)"],
    )  # fmt: skip


WHOLE = {
    "identity": {"dataset": "digits"}, "model": {"kind": "convnet"}, "algorithm": {"kind": "fedavg"},
    "training": {"local_epochs": 1, "participation": 1.0, "evaluate_every": 1}, "rounds": 2, "samples": 100,
    "threads": 1, "device": "cpu", "seconds": 100.0, "evaluation_seconds": 1.0, "parameters": 10,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{key: value} for key in WHOLE for value in ([], {}, None, "x", -1, 0, 1e308, 10**400, "\x1b[2J")]
    + [{"training": {**WHOLE["training"], "evaluate_every": 0}}, {"identity": {"dataset": "a" * 300}}],
)
def test_a_run_may_say_anything(here, said, change):
    damaged(here / RUN / "run.json", "nothing")
    (here / "results/data/digits").mkdir(parents=True)
    (here / "results/data/digits/dataset.json").write_text('{"shape": [1, 8, 8], "train": 90, "test": 9}')
    (here / RUN / "run.json").write_text(json.dumps({**WHOLE, **change}))
    assert said("cost", "tiny")[0] == 0


def test_a_run_that_names_a_file_as_its_network_runs_nothing(here, said, tmp_path):
    test_a_run_may_say_anything(here, said, {})
    evil = tmp_path / "evil.py"
    evil.write_text(f"class Settings:\n    open({str(tmp_path / 'ran')!r}, 'w')\n")
    package = Path(sys.modules["fedscape"].__file__).parent / "models" / "networks"
    kind = os.path.relpath(evil.with_suffix(""), package)
    (here / RUN / "run.json").write_text(json.dumps({**WHOLE, "model": {"kind": kind}}))
    assert said("cost", "tiny")[0] == 0
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "last", ["fedscape: \x1b]0;title\x07\x1b[2J", "fedscape: a\u202eb\u2028c", "fedscape: " + "x" * 5000]
)
def test_a_log_is_quoted_as_text(here, said, last):
    job = job_of(here, "plane")
    logged(here, job, f"{last}\n")
    code, lines = said("status", "tiny")
    assert code == 0 and all(len(line) < 500 for line in lines)
    assert any(job.log in line for line in lines)


@pytest.mark.parametrize(
    "change",
    ["scale=[]", "scale={a: 1}", "study=../x", "study=010", "study=" + "a" * 5000, "study=\0", "data_root=[1]",
     "data_root=" + "a" * 5000, "datasets=5", "datasets={x: 5}", "datasets={x: {kind: ../x}}", "datasets=", "x=1",
     "scale=on", "scale=", "study=*a", "scale=" + "[" * 5000],
)  # fmt: skip
def test_a_setting_may_be_anything(here, capsys, change):
    path = "results/data/digits/dataset.json"
    for command in (["status"], ["cost"], ["why", path], ["why", "results/tiny/smoke/tables/runs.csv"]):
        assert main([*command, "--config", change]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("fedscape: ") and line.isprintable() and len(line) < 1500


def test_a_file_of_settings_is_a_file(here, capsys):
    os.mkfifo(here / "mine.yaml")
    assert main(["status", "--configfile", "mine.yaml"]) == 1
    assert capsys.readouterr().err == "fedscape: mine.yaml: cannot be read (no regular file)\n"
