"""`fedscape why`: differences between what a result was made with and today, from made-up records."""

import hashlib
import json
import os
import time

import pytest
from command_files import STUDY, job_of, made, recorded, repository, tiny

from fedscape.cli import main
from fedscape.command.why import SCRIPTS
from fedscape.jobs.recorded import FOLDER, record_of, record_path
from fedscape.study import digest, imports, syntax
from fedscape.study import tracked as tracking
from fedscape.study.jobs import jobs_of
from fedscape.study.stages.every import STAGES
from fedscape.study.tracked import tracked


def strings(study, job) -> list[str]:
    """What the rules would pass to a job today."""
    return tracked(job.rule, STAGES[job.rule].settings(study, job.names), SCRIPTS)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A repository in which the smoke study has been made, with its records."""
    root = repository(tmp_path / "clone")
    monkeypatch.chdir(root)
    study = tiny(root)
    for age, job in enumerate(jobs_of(study)):
        if job.temporary:
            continue  # gone after the surface was made
        made(root, job)
        both = (
            [*strings(study, job), *tracked("surface", {}, SCRIPTS)] if job.temporary else strings(study, job)
        )
        recorded(root, job, both)
        for path in job.outputs:
            os.utime(path, (time.time() - 1000 + age, time.time() - 1000 + age))
    return root


@pytest.fixture
def told(capsys):
    """The lines that `fedscape why` prints."""

    def tell(path: str) -> list[str]:
        assert main(["why", path]) == 0, capsys.readouterr().err
        return capsys.readouterr().out.splitlines()

    return tell


def test_what_has_not_changed_is_up_to_date(here, told):
    for job in jobs_of(tiny(here)):
        if not job.temporary:
            assert told(job.outputs[0]) == ["up to date"], job


def test_a_changed_setting_is_a_line_for_the_file_and_for_what_follows(here, told):
    (here / "config/studies/tiny.yaml").write_text(STUDY.replace("lr: 0.1,", "lr: 0.2,"))
    train = job_of(here, "train", partition="iid").outputs[0]
    assert told(train) == [f"{train}: training.lr: 0.1 -> 0.2"]
    figure = told("results/tiny/smoke/figures/accuracy.png")
    assert len(figure) == 2 and all(line.endswith("training.lr: 0.1 -> 0.2") for line in figure)
    assert told("results/tiny/smoke/partitions/digits/iid/seed0.npz") == ["up to date"]


def test_an_edit_of_code_is_a_digest(here, told):
    script = here / "workflow" / "scripts" / "drift.py"
    script.write_text(f"{script.read_text()}\nEDITED = True\n")
    for cached in (tracking._digest, digest._hash, syntax.tree, imports._imports):
        cached.cache_clear()  # a process reads its code once
    (line,) = told("results/tiny/smoke/drift/moves/digits_all_seed0/drift.csv")
    assert line.startswith("results/tiny/smoke/drift/moves/digits_all_seed0/drift.csv: code: ")
    assert " -> " in line


def test_settings_that_came_and_went_are_named(here, told):
    job = job_of(here, "drift")
    today = strings(tiny(here), job)
    recorded(here, job, [*today, 'gone="x"'])
    assert told(job.outputs[0]) == [f'{job.outputs[0]}: gone: "x" -> not there']


def test_inputs_that_came_went_and_changed_are_named(here, told):
    job = job_of(here, "drift")
    known, other = strings(tiny(here), job), "results/other.npz"
    recorded(here, job, known, input=[*job.inputs[1:], other])
    assert told(job.outputs[0]) == [
        f"{job.outputs[0]}: no longer made from {other}",
        f"{job.outputs[0]}: now also made from {job.inputs[0]}",
    ]
    newer = job.inputs[-1]  # a trajectory
    os.utime(newer, None)
    recorded(here, job, known)
    assert told(job.outputs[0]) == [f"{job.outputs[0]}: {newer} has changed since"]
    digest = hashlib.sha256((here / newer).read_bytes()).hexdigest()
    recorded(here, job, known, input_checksums={newer: f"sha256:{digest}"})
    assert told(job.outputs[0]) == ["up to date"]


def test_a_file_that_is_missing_is_named(here, told):
    figure = here / "results/tiny/smoke/figures/accuracy.png"
    figure.unlink()
    assert told("results/tiny/smoke/figures/accuracy.png") == [
        "results/tiny/smoke/figures/accuracy.png: not there"
    ]


def test_a_file_is_found_from_below_and_by_its_full_path(here, told, monkeypatch):
    monkeypatch.chdir(here / "results" / "tiny")
    assert told("smoke/figures/accuracy.png") == ["up to date"]
    assert told(str(here / "results/tiny/smoke/tables/runs.csv")) == ["up to date"]


def test_a_file_without_a_record_says_so(here, told):
    path = "results/tiny/smoke/figures/accuracy.svg"
    for one in (path, "results/tiny/smoke/figures/accuracy.png"):
        (here / record_path(FOLDER, one)).unlink()
    assert told(path) == [f"{path}: Snakemake has no record of what made it"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("README.md", "README.md: no result; name a file below results/"),
        ("results/tiny/smoke/nothing.csv", "no job of tiny at smoke makes this file today"),
        ("results/tinny/smoke/tables/runs.csv", "unknown study 'tinny'"),
    ],
)
def test_what_is_no_result_is_refused_in_one_line(here, capsys, path, message):
    assert main(["why", path]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_without_any_records_it_says_so(here, capsys):
    FOLDER.rename(FOLDER.with_name("away"))
    assert main(["why", "results/tiny/smoke/tables/runs.csv"]) == 1
    assert "no records of Snakemake's here" in capsys.readouterr().err


def test_records_that_only_others_may_read_are_no_missing_ones(here, capsys, monkeypatch):
    for job in jobs_of(tiny(here)):
        made(here, job)
    recorded(here, job_of(here, "drift"), [])
    monkeypatch.setattr("fedscape.jobs.recorded.os.access", lambda *_: False)  # as root may read everything
    assert main(["why", "results/tiny/smoke/tables/runs.csv"]) == 1
    assert "records cannot be read" in capsys.readouterr().err


def test_records_are_where_snakemake_looks_for_them(tmp_path, monkeypatch):
    from snakemake.persistence.file import FilePersistence

    monkeypatch.chdir(tmp_path)
    persistence = FilePersistence(path=tmp_path / ".snakemake")
    for path in ("results/a.csv", "results/" + "long/" * 80 + "b.csv", "results/ä~.csv"):
        assert str(tmp_path / record_path(FOLDER, path)) == persistence._record_path(
            str(tmp_path / FOLDER), path
        )


def test_a_record_that_cannot_be_read_counts_as_none(here):
    path = "results/tiny/smoke/tables/runs.csv"
    place = here / record_path(FOLDER, path)
    assert record_of(path).rule == "tables"
    for text in (
        "{",
        "[]",
        json.dumps({"record_format_version": 5}),
        json.dumps({"record_format_version": 6}),
    ):
        place.write_text(text)
        assert record_of(path) is None
