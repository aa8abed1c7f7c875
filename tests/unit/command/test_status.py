"""`fedscape status`: what it says of made-up results, by the files that jobs leave."""

import fcntl
import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from command_files import RUN, job_of, logged, made, repository, tiny, training

from fedscape.cli import main
from fedscape.command import slurm
from fedscape.command.progress import DONE, FAILED, QUEUED, RUNNING, STOPPED, WAITING, duration, progress_of
from fedscape.jobs.locks import is_held
from fedscape.jobs.recorded import STARTED, record_path
from fedscape.jobs.resume import Resume, ResumeFolder
from fedscape.jobs.submissions import (
    SUBMISSIONS,
    Member,
    exit_file,
    submission_comment,
    write_exit_code,
    write_tasks,
)
from fedscape.study.jobs import jobs_of


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The root of a repository without results, where we are; no SLURM."""
    root = repository(tmp_path / "clone")
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", str(tmp_path))
    return root


def seen(job, queue=None):
    """State and words of one job."""
    study = tiny(Path.cwd())
    jobs = jobs_of(study)
    found = dict(zip((one.outputs for one in jobs), progress_of(study, jobs, queue), strict=True))[
        job.outputs
    ]
    return found.state, found.words


def test_without_results_everything_waits(here, capsys):
    assert main(["status", "tiny", "--config", "scale=smoke"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "tiny at smoke: 0 of 16 jobs done"
    assert "train         2 waiting" in lines and not any("failed" in line for line in lines)


def test_watching_looks_again_until_it_is_interrupted(here, capsys, monkeypatch):
    job = job_of(here, "drift")

    def sleep(seconds):
        if (here / job.outputs[0]).exists():
            raise KeyboardInterrupt
        made(here, job)

    monkeypatch.setattr(time, "sleep", sleep)
    assert main(["status", "tiny", "--config", "scale=smoke", "--watch"]) == 130
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("tiny at smoke")]
    assert titles == ["tiny at smoke: 0 of 16 jobs done", "tiny at smoke: 1 of 16 jobs done"]


def test_a_job_is_done_when_all_its_files_are_there(here):
    job = job_of(here, "train", partition="iid")
    made(here, job)
    assert seen(job) == (DONE, "")
    (here / job.outputs[1]).unlink()
    assert seen(job) == (WAITING, "")  # its log says that it came to its end: somebody has removed the file


def test_parts_of_a_surface_are_done_when_it_is_though_they_are_gone(here):
    part, surface = job_of(here, "surface_part"), job_of(here, "surface")
    assert seen(part)[0] == WAITING
    made(here, surface)
    assert seen(part)[0] == DONE


def test_a_run_that_trains_tells_round_accuracy_and_the_time_left(here):
    job = job_of(here, "train", partition="iid")
    training(here, 12, here / RUN / "resume")
    with (here / RUN / "resume" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state, words = seen(job)
    assert state == RUNNING
    assert words.startswith("round 12 of 20, accuracy 0.220, 16 s left, last line 0 s ago")
    state, words = seen(job)  # nobody holds the folder any more
    assert state in (STOPPED, RUNNING)


def test_a_stopped_run_on_this_machine_is_told_from_one_on_another(here):
    job = job_of(here, "train", partition="iid")
    folder = here / RUN / "resume"
    training(here, 3, folder)
    (folder / "lock").write_text(f"{socket.gethostname()} 1\n")
    assert seen(job)[0] == STOPPED and "resumes where it stopped" in seen(job)[1]
    (folder / "lock").write_text("node7.elsewhere 1\n")  # a lock that this machine may not see
    assert seen(job)[0] == RUNNING and "on node7.elsewhere" in seen(job)[1]
    state, words = seen(job, queue={})  # squeue knows better
    assert state == STOPPED and words.endswith(job.log)
    long_ago = time.time() - 3600
    os.utime(folder / "progress.json", (long_ago, long_ago))
    assert seen(job)[0] == STOPPED and "last line 1.0 h ago" in seen(job)[1]


def test_a_job_that_holds_its_log_runs(here):
    job = job_of(here, "plane")
    logged(here, job, "")
    with (here / job.log).open() as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        assert seen(job)[0] == RUNNING


@pytest.mark.parametrize(
    ("log", "state", "words"),
    [
        ("fedscape: x.npz: cut off\n", FAILED, "x.npz: cut off"),
        ("Traceback (most recent call last):\n  File\nValueError: no\n", FAILED, "ValueError: no"),
        ("round 3/20: test loss 1\n", FAILED, "killed from outside"),
        ("", FAILED, "killed from outside"),
        ("stopped by SIGTERM: run again to continue from round 3\n", STOPPED, "continue from round 3"),
    ],
)
def test_the_last_line_of_a_log_tells_how_a_job_ended(here, log, state, words):
    job = job_of(here, "plane")
    logged(here, job, log)
    found, told = seen(job)
    assert found == state and words in told
    assert state != FAILED or told.startswith(job.log)


def test_a_job_that_has_just_begun_runs(here):
    job = job_of(here, "drift")
    mark = here / record_path(STARTED, job.outputs[0])
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert seen(job) == (RUNNING, "has just begun")
    os.utime(mark, (0, 0))  # Snakemake was killed long ago
    assert seen(job) == (WAITING, "")


def test_a_job_that_was_killed_with_its_snakemake_does_not_run(here):
    """The mark that it has begun is fresh, but its log is newer, and nobody holds it."""
    job = job_of(here, "train", partition="iid")
    mark = here / record_path(STARTED, job.outputs[0])
    mark.parent.mkdir(parents=True)
    mark.touch()
    os.utime(mark, (time.time() - 5,) * 2)
    logged(here, job, "round 1/20: test loss 2\n")
    state, words = seen(job)
    assert state == FAILED and words.endswith("killed from outside (memory?); the next call runs it again")
    training(here, 12, here / RUN / "resume")
    (here / RUN / "resume" / "lock").write_text(f"{socket.gethostname()} 1\n")
    state, words = seen(job)
    assert state == STOPPED and "resumes where it stopped" in words


def test_where_there_is_no_study_to_read_squeue_is_not_left_behind(here, monkeypatch):
    squeue, started = here.parent / "squeue", []
    squeue.write_text("#!/bin/sh\nexec sleep 60\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here.parent}:/bin:/usr/bin")
    ask = slurm.ask
    monkeypatch.setattr(slurm, "ask", lambda: started.append(ask()) or started[-1])
    assert main(["status", "nowhere"]) == 1
    assert [asked.returncode for asked in started] == [-signal.SIGKILL]


def test_what_squeue_says_counts_where_the_folder_is_ours(here, monkeypatch):
    train, plane = job_of(here, "train", partition="iid"), job_of(here, "plane")
    comments = [slurm.comment(job) for job in (train, plane)]
    assert comments[0] == "rule_train_wildcards_tiny_smoke_digits_convnet_iid_random_fedavg_0"
    squeue = here.parent / "squeue"
    squeue.write_text(
        f"#!/bin/sh\necho '7|RUNNING|None|node1|{here}|{comments[0]}'\n"
        f"echo '8|PENDING|Priority||{here}|{comments[1]}'\necho '9|PENDING|Priority||/elsewhere|x'\n"
    )
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here.parent}:/bin:/usr/bin")
    queue = slurm.queue(slurm.ask(), here)
    assert set(queue) == set(comments)
    assert seen(train, queue) == (RUNNING, "SLURM 7 running, on node1")
    assert seen(plane, queue) == (QUEUED, "SLURM 8 pending (Priority)")
    made(here, plane)  # from before; its files go when it has a node
    assert seen(plane, queue) == (QUEUED, "SLURM 8 pending (Priority)")
    assert seen(plane, {comments[1]: replace(queue[comments[1]], state="COMPLETING")}) == (DONE, "")
    assert seen(plane, {}) == (DONE, "")
    squeue.write_text("#!/bin/sh\nexit 1\n")
    assert slurm.queue(slurm.ask(), here) is None


def test_what_was_sent_together_is_shown_by_job(here, monkeypatch):
    jobs = [job_of(here, "train", partition="iid"), job_of(here, "plane"), job_of(here, "drift")]
    ended, runs, waits = (Member(slurm.comment(job), "", "") for job in jobs)
    sent = SUBMISSIONS / "0a1b"
    write_tasks(sent, [[waits], [ended, runs]])
    write_exit_code(exit_file(sent, 2, 0), 1)
    comment = submission_comment("train", "0a1b")
    squeue = here.parent / "squeue"
    squeue.write_text(
        f"#!/bin/sh\necho '7_1|PENDING|Priority||{here}|{comment}'\n"
        f"echo '7_2|RUNNING|None|node1|{here}|{comment}'\n"
        f"echo '8|PENDING|Priority||{here}|{submission_comment('train', '0')}'\n"
    )
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here.parent}:/bin:/usr/bin")
    queue = slurm.queue(slurm.ask(), here)
    assert {comment: job.number for comment, job in queue.items()} == {
        runs.comment: "7_2", waits.comment: "7_1"
    }  # fmt: skip
    assert seen(jobs[1], queue) == (RUNNING, "SLURM 7_2 running, on node1")
    assert seen(jobs[2], queue) == (QUEUED, "SLURM 7_1 pending (Priority)")


def test_a_job_that_slurm_lost_before_it_began_shows_slurms_log(here):
    job = job_of(here, "plane")
    log = Path(".snakemake/slurm_logs/rule_plane/tiny_smoke_paths_digits_all_seed0/12.log")
    log.parent.mkdir(parents=True)
    log.touch()
    assert seen(job) == (FAILED, f"before it began: {log}")


def test_the_table_names_what_runs_and_what_has_failed(here, capsys):
    failed = job_of(here, "plane")
    logged(here, failed, "fedscape: no\n")
    assert main(["status", "tiny", "--config", "scale=smoke"]) == 0
    assert f"{failed.log}: fedscape: no" in capsys.readouterr().out
    assert main(["status", "tiny", "--all", "--config", "scale=smoke"]) == 0
    assert "digits/convnet/iid/random/fedavg/seed0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["status", "tinny"],
            "config/config.yaml or --config: study: unknown study 'tinny'; did you mean 'tiny'?",
        ),
        (["status", "tiny", "--config", "scale=papr"], "scale: unknown scale 'papr'; did you mean 'paper'?"),
        (["status", "tiny", "--config", "scale=quick"], "scale: unknown scale 'quick'"),
        (["status", "tiny", "--config", "scale"], "--config: got 'scale', expected key=value"),
        (["status", "tiny", "--configfile", "no.yaml"], "no.yaml: no such file"),
        (["statu"], "invalid choice"),
        (["why"], "the following arguments are required: file"),
    ],
)
def test_a_slip_is_one_line(here, capsys, arguments, message):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("fedscape: ") and error.count("\n") == 1 and message in error


def test_it_works_below_the_root_and_nowhere_else(here, capsys, monkeypatch):
    monkeypatch.chdir(here / "config" / "studies")
    assert main(["status", "tiny", "--config", "scale=smoke"]) == 0
    monkeypatch.chdir(here.parent)
    assert main(["status", "tiny"]) == 1
    assert "not in a clone of fedscape" in capsys.readouterr().err


def test_a_lock_is_seen_and_not_taken(tmp_path):
    with ResumeFolder(Resume(tmp_path / "resume", "f")) as folder:
        assert is_held(folder.folder / "lock") is True
        assert (folder.folder / "lock").read_text().split() == [socket.gethostname(), str(os.getpid())]
    assert is_held(tmp_path / "resume" / "lock") is False
    assert is_held(tmp_path / "none") is None


def test_who_only_looks_at_a_lock_does_not_keep_a_job_away(tmp_path):
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "lock").touch()
    looking = os.open(tmp_path / "resume" / "lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    pid = os.fork()
    if pid == 0:  # a process of its own lets go a little later
        time.sleep(0.1)
        os._exit(0)
    os.close(looking)  # the child's copy still holds the lock
    with ResumeFolder(Resume(tmp_path / "resume", "f")):
        pass
    os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89, "89 s"), (100, "2 min"), (7200, "2.0 h"), (200_000, "2.3 d")]
)
def test_durations_are_short(seconds, words):
    assert duration(seconds) == words
