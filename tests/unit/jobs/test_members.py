"""Several jobs in a task of SLURM's: each by itself, whatever the others do."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fedscape.errors import FedscapeError
from fedscape.jobs.submissions import (
    SUBMISSIONS,
    Member,
    comments,
    exit_code,
    exit_file,
    read_task,
    submission_comment,
    submission_folder,
    write_exit_code,
    write_tasks,
)

COMMAND = (sys.executable, "-m", "fedscape.jobs.members")
PATIENCE = 30


@pytest.fixture
def begin(tmp_path):
    """Start a task whose members run these commands."""
    processes = []

    def start(*commands: str, kept: bool = False) -> subprocess.Popen:
        if not kept:
            members = [Member(f"job {n}", one, str(tmp_path / f"logs{n}")) for n, one in enumerate(commands)]
            write_tasks(tmp_path / "sent", [[Member("another task", "exit 9", "/nowhere")], members])
        process = subprocess.Popen(
            [*COMMAND, str(tmp_path / "sent"), "2", "7_2.log"], cwd=tmp_path, start_new_session=True
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def codes(tmp_path, members):
    return [exit_code(exit_file(tmp_path / "sent", 2, place)) for place in range(members)]


def wait_for_file(path):
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def test_a_member_that_fails_leaves_the_others_alone(begin, tmp_path):
    done = begin("echo said; exit 3", "sleep 0.5; echo whole > whole", "kill -KILL $$").wait(PATIENCE)
    assert done == 1
    assert codes(tmp_path, 3) == [3, 0, -signal.SIGKILL]
    assert (tmp_path / "whole").read_text() == "whole\n"
    assert (tmp_path / "logs0" / "7_2.log").read_text() == "said\n"


def test_all_that_end_well_are_a_task_that_ends_well(begin, tmp_path):
    assert begin("true", "true").wait(PATIENCE) == 0
    assert codes(tmp_path, 2) == [0, 0]


def test_notice_reaches_each_member_and_is_waited_for(begin, tmp_path):
    """Who fails then has not ended for good: SLURM may put the task back into its queue."""
    saves = (
        "trap 'sleep 0.5; echo saved > saved{0}; exit 1' TERM; touch began{0}; while :; do sleep 0.1; done"
    )
    process = begin(
        f'/bin/sh -c "{saves.format(0)}"',
        f'/bin/sh -c "{saves.format(1)}"',
        "trap '' TERM; touch began2; sleep 1",
    )
    for number in range(3):
        wait_for_file(tmp_path / f"began{number}")
    os.killpg(process.pid, signal.SIGTERM)  # as SLURM does
    assert process.wait(PATIENCE) == 1
    assert (tmp_path / "saved0").exists() and (tmp_path / "saved1").exists()
    assert codes(tmp_path, 3) == [None, None, 0]


def test_what_has_ended_does_not_run_again_when_slurm_puts_the_task_back(begin, tmp_path):
    begin("echo once >> runs", "echo two >> runs; exit 5", "test -e again && echo three >> runs").wait(
        PATIENCE
    )
    exit_file(tmp_path / "sent", 2, 2).unlink()
    (tmp_path / "again").touch()
    assert begin(kept=True).wait(PATIENCE) == 1, "one has failed before"
    assert sorted((tmp_path / "runs").read_text().split()) == ["once", "three", "two"]
    assert codes(tmp_path, 3) == [0, 5, 0]


def test_a_comment_leads_to_the_folder_of_a_submission():
    assert submission_folder(submission_comment("train", "0a1b")) == SUBMISSIONS / "0a1b"
    assert submission_folder("rule_train_wildcards_pilot_smoke_digits") is None
    assert submission_folder("rule_train_submission_../../elsewhere") is None


def test_who_has_ended_is_not_in_the_queue(tmp_path):
    write_tasks(tmp_path, [[Member("a", "", ""), Member("b", "", "")]])
    write_exit_code(exit_file(tmp_path, 1, 0), 0)
    assert comments(tmp_path, 1) == ["b"]
    assert comments(tmp_path, 2) == []
    assert comments(tmp_path / "gone", 1) == []


def test_a_damaged_submission_is_one_line(tmp_path):
    (tmp_path / "tasks.json").write_text('{"tasks": [[')
    with pytest.raises(FedscapeError, match=r"tasks\.json"):
        read_task(tmp_path, 1)
    assert comments(tmp_path, 1) == []
