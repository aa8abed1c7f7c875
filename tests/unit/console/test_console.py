"""What a terminal, or a file, is shown of a call."""

import io
import logging

import pytest

from fedscape.console.console import LOG_LINES, Console
from fedscape.terminal import CLEAR


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def call(stream, clock, is_live=False, is_dry_run=False, shows_logs=False):
    console = Console(stream, is_live, is_dry_run, shows_logs, clock)
    console.show("run_info", "Job stats", logging.INFO, {"stats": {"train": 2, "total": 2}})
    return console


def job(console, number, log=()):
    fields = {
        "jobid": number,
        "log": log,
        "rule_name": "train",
        "wildcards": {"study": "pilot", "scale": "quick"},
        "reason": "Missing output files: x",
    }
    console.show("job_info", "", logging.INFO, fields)


def ended(console, number):
    console.show("job_finished", "", logging.INFO, {"job_id": number})


def test_a_file_gets_a_line_a_minute_and_one_at_the_end(clock):
    stream = io.StringIO()
    console = call(stream, clock)
    for number, second in enumerate((0, 30)):
        clock.now = second
        job(console, number)
        ended(console, number)
    clock.now = 90
    console.close()
    console.close()
    assert stream.getvalue().splitlines() == ["0 of 2 jobs, 0 s; train", "2 of 2 jobs, 2 min"]


def test_a_terminal_has_one_line_that_is_written_anew(clock):
    stream = io.StringIO()
    console = call(stream, clock, is_live=True)
    for number in range(2):
        clock.now += 1
        job(console, number)
        clock.now += 1
        ended(console, number)
    console.close()
    assert "\n" not in stream.getvalue().rstrip("\n")
    assert stream.getvalue().split(CLEAR)[-1] == "2 of 2 jobs, 4 s\r\n"


def test_a_dry_run_is_a_table(clock):
    stream = io.StringIO()
    console = call(stream, clock, is_dry_run=True)
    job(console, 0)
    console.close()
    assert stream.getvalue().splitlines()[1].split() == ["1", "train", "not", "there", "yet"]


def test_warnings_errors_and_nothing_to_do_are_shown_and_notes_are_not(clock):
    stream = io.StringIO()
    console = call(stream, clock)
    for message, level in (
        ("Building DAG of jobs...", logging.INFO),
        ("Nothing to be done (all ...).", logging.INFO),
        ("a warning", logging.WARNING),
        ("an error", logging.ERROR),
    ):
        console.show(None, message, level, {})
    console.show("error", "MissingRuleException", logging.ERROR, {})
    assert stream.getvalue().splitlines() == [
        "Nothing to be done (all ...).",
        "a warning",
        "an error",
        "MissingRuleException",
    ]


def test_a_failed_job_names_its_log_once(clock):
    stream = io.StringIO()
    console = call(stream, clock)
    job(console, 0)
    console.show("job_error", "", logging.ERROR, {"jobid": 0, "rule_name": "train", "log": ["results/a.log"]})
    for message in (
        'RuleException:\nCalledProcessError in file "rules/train.smk", line 9:\nCommand ... exit status 1.',
        "Exiting because a job execution failed. Look below for error messages",
        "WorkflowError:\nAt least one job did not complete successfully.",
    ):
        console.show("error" if ":\n" in message else None, message, logging.ERROR, {})
    console.close()
    assert stream.getvalue().splitlines()[1:] == [
        "train failed; its log: results/a.log",
        "0 of 2 jobs, 0 s",
        "1 failed; run again to resume what is left",
    ]


RESULTS = [
    "pilot at quick: 3 claims: holds 2, does not hold 1",
    "pilot at quick: results/pilot/quick/index.html",
]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A study that has been made."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "pilot" / "quick"
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "claims.csv").write_text("number,verdict\n1,holds\n2,does not hold\n3,holds\n")
    (folder / "index.html").touch()


def test_claims_and_where_to_look_are_the_last_lines(clock, results):
    stream = io.StringIO()
    console = call(stream, clock)
    for number in range(2):
        job(console, number)
        ended(console, number)
    console.close()
    assert stream.getvalue().splitlines()[-2:] == RESULTS


@pytest.mark.parametrize("is_dry_run", [False, True])
def test_where_nothing_is_to_be_done_the_study_that_was_asked_for_is_told(clock, results, is_dry_run):
    stream = io.StringIO()
    console = Console(stream, False, is_dry_run, clock=clock)
    console.show(None, "Asked for pilot", logging.INFO, {"study": "pilot", "scale": "quick"})
    console.show(None, "Nothing to be done (all ...).", logging.INFO, {})
    console.close()
    assert stream.getvalue().splitlines() == ["Nothing to be done (all ...).", *RESULTS]


def test_text_of_strangers_cannot_move_the_cursor(clock):
    stream = io.StringIO()
    console = call(stream, clock)
    console.show(None, "a\x1b[2Jb", logging.ERROR, {})
    assert "\x1b" not in stream.getvalue()


def test_a_message_of_several_lines_has_several(clock):
    stream = io.StringIO()
    call(stream, clock).show("error", "MissingInputException:\nx\ty\n", logging.ERROR, {})
    assert stream.getvalue().splitlines() == ["MissingInputException:", "x\\ty"]


def test_a_call_that_ends_with_an_error_says_nothing_more(clock):
    stream = io.StringIO()
    console = Console(stream, False, True, clock=clock)
    console.show(None, "Building DAG of jobs...", logging.INFO, {})
    console.show("error", "MissingRuleException:\nNo rule to produce x", logging.ERROR, {})
    console.close()
    assert stream.getvalue().splitlines() == ["MissingRuleException:", "No rule to produce x"]


def test_a_call_that_runs_no_job_says_what_it_has_done(clock):
    stream = io.StringIO()
    console = Console(stream, False, False, clock=clock)
    for message in ("Assuming unrestricted shared filesystem usage.", "Unlocked working directory."):
        console.show(None, message, logging.INFO, {})
    console.close()
    assert stream.getvalue().splitlines() == ["Unlocked working directory."]


def test_a_call_that_is_refused_before_its_first_job_has_no_progress(clock):
    stream = io.StringIO()
    call(stream, clock).close()
    assert stream.getvalue() == ""


def test_jobs_that_failed_together_are_all_named(clock):
    stream = io.StringIO()
    console = call(stream, clock)
    failed = [{"jobid": number, "rule_name": "train", "log": [f"{number}.log"]} for number in range(2)]
    console.show("group_error", "", logging.ERROR, {"job_error_info": failed})
    assert stream.getvalue().splitlines() == [f"train failed; its log: {number}.log" for number in range(2)]


def test_a_watched_line_says_how_far_a_job_is(clock, tmp_path):
    log, stream = tmp_path / "train.log", io.StringIO()
    console = call(stream, clock, is_live=True)
    job(console, 0, [str(log)])
    log.write_text("round 1/4: client loss 2.1, 0.30 s\nround 3/4: client loss 1.1, 0.30 s\n")
    clock.now = 5
    console.tick()
    assert stream.getvalue().split(CLEAR)[-1] == "0 of 2 jobs, 5 s; train (75 %)\r"
    ended(console, 0)
    clock.now = 10
    console.tick()
    assert stream.getvalue().split(CLEAR)[-1] == "1 of 2 jobs, 10 s\r"


def test_a_line_that_nobody_watches_opens_no_log(clock, tmp_path):
    log, stream = tmp_path / "train.log", io.StringIO()
    log.write_text("round 3/4: client loss 1.1, 0.30 s\n")
    console = call(stream, clock)
    job(console, 0, [str(log)])
    clock.now = 100
    console.tick()
    assert stream.getvalue().splitlines()[-1] == "0 of 2 jobs, 2 min; train"


def test_the_log_of_a_job_on_a_cluster_is_quoted(clock, tmp_path):
    log, stream = tmp_path / "train.log", io.StringIO()
    log.write_text("".join(f"round {number}/9: \n" for number in range(9)) + "fedscape: no\x1b[2J use\n")
    console = call(stream, clock, shows_logs=True)
    fields = {"jobid": 0, "rule_name": "train", "log": [str(log), "slurm.log"]}
    console.show("job_error", "", logging.ERROR, fields)
    first, *quoted = stream.getvalue().splitlines()
    assert first == f"train failed; its log: {log}, slurm.log"
    assert len(quoted) == LOG_LINES and quoted[-1] == "  fedscape: no\\x1b[2J use"
