"""The table of a dry run."""

from fedscape.console.plan import LINES, PlannedJob, plan_lines

NEW = "Missing output files: x"
BELOW = "Input files updated by another job: x"


def test_jobs_are_counted_by_stage_and_reason():
    jobs = [
        PlannedJob("train", NEW),
        PlannedJob("train", NEW),
        PlannedJob("plane", BELOW),
        PlannedJob("train", BELOW),
    ]
    assert list(plan_lines(jobs)) == [
        "  jobs  stage  why",
        "     2  train  not there yet",
        "     1  train  made from what is new",
        "     1  plane  made from what is new",
        "     4  in all; this was a dry run (-n), nothing was done",
    ]


def test_of_no_jobs_snakemake_itself_says_that_nothing_is_to_be_done():
    assert list(plan_lines([])) == []


def test_a_thousand_reasons_fit_on_a_screen():
    jobs = [PlannedJob("train", f"Updated input files: {number}") for number in range(1000)]
    lines = list(plan_lines(jobs))
    assert len(lines) == LINES + 3 <= 60
    counts = [int(line.split()[0]) for line in lines[1:]]
    assert sum(counts[:-1]) == counts[-1] == 1000
