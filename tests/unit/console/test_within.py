"""How far a job is, from its log as jobs write them."""

import logging

import pytest

from fedscape.console.within import MOST, part_done, parts_done
from fedscape.federated.progress_display import ProgressDisplay
from fedscape.jobs.resume import Resume, ResumeFolder, counts_to

LOGS = {
    "": None,
    "continuing after round 3": None,
    "results/pilot/quick/runs/a: round 5, the global model": None,
    "stopped by SIGTERM: run again to continue from path 1 of 4": None,
    "round 0/0: ": None,
    "round 3/10: client loss 2.3, 0.11 s": 0.3,
    "epoch 1/4: train loss 2.3, 0.11 s": 0.25,
    "column 2 of 8": 0.25,
    "100 of 441 points are there already\ncolumn 21 of 21": 1.0,
    "3 of 20 averages of two models": 0.15,
    "1 of 2 models\nresults/a: round 5, the global model": 0.5,
    "round 12/10: ": 1.0,
}


@pytest.mark.parametrize("text", LOGS)
def test_the_last_line_that_counts_tells(text):
    assert part_done(text.splitlines()) == LOGS[text]


def test_what_jobs_with_steps_and_runs_write_is_understood(tmp_path, capsys, caplog):
    caplog.set_level(logging.INFO)
    with ResumeFolder(Resume(tmp_path / "resume", "0f"), valid=counts_to(4)) as folder:
        for number, _ in folder.steps("abcd", "path {} of {}"):
            assert part_done(caplog.messages) == (number / 4 if number else None)
    display = ProgressDisplay(8, 0)
    display.step(2, {"client_loss": 2.0})
    display.close()
    assert part_done(capsys.readouterr().err.splitlines()) == 0.25


def test_logs_that_are_not_there_tell_nothing_and_a_campaign_has_few_opened(tmp_path):
    logs = {number: tmp_path / f"{number}.log" for number in range(2 * MOST)}
    for number in range(1, 2 * MOST):
        logs[number].write_text("round 1/2: \n")
    assert dict(parts_done(logs)) == dict.fromkeys(range(1, MOST), 0.5)
