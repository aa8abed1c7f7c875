"""The loop of a job that goes by steps: what is done stays done, and where the job is told to stop it ends."""

import logging
import os
import signal

import pandas as pd
import pytest

from fedscape.columns.csvs import csv_text, read_csv
from fedscape.columns.drift import DRIFT_CSV
from fedscape.jobs.resume import Resume, ResumeFolder, counts_to
from fedscape.jobs.step_rows import join_steps, write_step

TASKS = ["a", "b", "c"]


class Killed(BaseException):
    pass


def work(folder, made, kill=None, stop_after=None, tasks=TASKS):
    """A job that writes each task to a file of its own and joins them; `made` notes what is computed.

    kill: task within which, or after whose file, the process dies. stop_after: task in which a signal comes.
    """
    with ResumeFolder(Resume(folder / "resume", "f"), valid=counts_to(len(tasks))) as resume:
        for number, task in resume.steps(tasks, "letter {} of {}"):
            if kill == ("before", task):
                raise Killed
            made.append(task)
            (resume.folder / f"{number}-letter").write_text(task)
            if kill == ("after", task):
                raise Killed
            if stop_after == task:
                os.kill(os.getpid(), signal.SIGTERM)
        if not resume.finished:
            letters = [path.read_text() for path in sorted(resume.folder.glob("*-letter"))]
            (resume.folder / "word").write_text("".join(letters))
            if kill == "at the end":
                raise Killed
        resume.finish({"word": folder / "word"})


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("task", TASKS)
def test_a_killed_job_resumes_with_the_step_in_which_it_died(tmp_path, when, task, caplog):
    caplog.set_level(logging.INFO)
    made = []
    with pytest.raises(Killed):
        work(tmp_path, made, kill=(when, task))
    done, made = TASKS.index(task), []
    work(tmp_path, made)
    assert made == TASKS[done:]
    assert (tmp_path / "word").read_text() == "abc" and not (tmp_path / "resume").exists()
    assert (f"continuing after letter {done} of 3" in caplog.text) == (done > 0)


def test_a_job_that_is_told_to_stop_ends_between_two_steps(tmp_path):
    made = []
    with pytest.raises(SystemExit, match="stopped by SIGTERM: run again to continue from letter 2 of 3"):
        work(tmp_path, made, stop_after="b")
    work(tmp_path, made)
    assert made == TASKS and (tmp_path / "word").read_text() == "abc"


def test_a_signal_in_the_last_step_stops_nothing(tmp_path):
    work(tmp_path, [], stop_after="c")
    assert (tmp_path / "word").read_text() == "abc"


def test_steps_that_are_all_done_are_not_made_again(tmp_path):
    with pytest.raises(Killed):
        work(tmp_path, [], kill="at the end")
    made = []
    work(tmp_path, made)
    assert not made and (tmp_path / "word").read_text() == "abc"


def test_a_finished_job_has_no_steps(tmp_path, monkeypatch):
    """It died while its output was put in place."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            work(tmp_path, [])
    made = []
    work(tmp_path, made)
    assert not made and (tmp_path / "word").read_text() == "abc"


@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_a_step_whose_file_is_damaged_is_not_taken_over(tmp_path, damage):
    with pytest.raises(Killed):
        work(tmp_path, [], kill=("before", "c"))
    file = tmp_path / "resume" / "0-letter"
    file.write_text("") if damage == "cut off" else file.unlink()
    made = []
    work(tmp_path, made)
    assert made == TASKS, "it starts afresh"


def test_files_of_a_step_are_not_those_of_one_whose_number_begins_alike(tmp_path):
    letters = [chr(ord("a") + number) for number in range(12)]
    work(tmp_path, [], tasks=letters)
    with ResumeFolder(Resume(tmp_path / "resume", "f"), valid=counts_to(12)) as resume:
        for number, task in resume.steps(letters, "{} of {}"):
            (resume.folder / f"{number}-letter").write_text(task)
            if number == 11:
                break
        assert set(resume._files) == {f"{number}-letter" for number in range(11)}, "the last is not committed"


def test_what_a_step_adds_to_the_state_is_committed_with_it(tmp_path):
    for count in (1, 2, 3):
        with ResumeFolder(Resume(tmp_path / "resume", "f"), valid=counts_to(3)) as resume:
            if "sums" not in resume.progress:
                resume.commit({"done": 0, "sums": []})
            sums = resume.progress["sums"]
            assert sums == list(range(count - 1))
            with pytest.raises(Killed):
                for number, _ in resume.steps([*TASKS, "d"], "{} of {}"):
                    if number == count:
                        raise Killed
                    sums.append(number)


def row(partition, round_number, value):
    names = dict.fromkeys(DRIFT_CSV.names, "x") | {"partition": partition, "seed": 0}
    return {**names, "round": round_number, **dict.fromkeys(DRIFT_CSV.measures, value)}


def test_rows_of_steps_are_the_rows_of_one_file(tmp_path):
    """Written in parts and read again, they have the bytes that they have when written at once."""
    values = [1 / 3, 0.1 + 0.2, float("nan"), float("inf"), 3.0, 1e-30]
    rows = [row(f"p{number % 2}", number, value) for number, value in enumerate(values)]
    for number in range(0, 6, 2):
        write_step(tmp_path, 10 - number, "drift.csv", rows[number : number + 2])
    write_step(tmp_path, 11, "drift.csv", [])
    join_steps(tmp_path, "drift.csv", DRIFT_CSV, more=[row("p2", 9, 0.5)])
    whole = pd.DataFrame([*rows, row("p2", 9, 0.5)])[DRIFT_CSV.columns].sort_values(DRIFT_CSV.order)
    assert (tmp_path / "drift.csv").read_text() == csv_text(whole)
    assert not (tmp_path / "11-drift.csv").exists()


def test_rows_stand_in_the_order_asked_for_and_ties_in_that_of_the_steps(tmp_path):
    for number in (0, 2, 10):
        write_step(tmp_path, number, "drift.csv", [row("p", number, 0.5)])
    join_steps(tmp_path, "drift.csv", DRIFT_CSV, sort_by=["partition"])
    assert read_csv(tmp_path / "drift.csv")["round"].tolist() == [0, 2, 10]


def test_steps_without_rows_make_a_header(tmp_path):
    join_steps(tmp_path, "drift.csv", DRIFT_CSV)
    assert list(read_csv(tmp_path / "drift.csv")) == DRIFT_CSV.columns
