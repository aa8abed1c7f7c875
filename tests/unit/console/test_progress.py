"""What is done of a call, and the estimate of the time left."""

from collections import Counter

import pytest

from fedscape.console.progress import Progress, duration


def progress(**totals) -> Progress:
    return Progress(0.0, Counter(totals))


def test_nothing_is_said_of_the_time_left_before_some_jobs_have_ended():
    state = progress(train=4)
    state.started(1, "train", 0.0)
    state.ended(1, 10.0)
    assert state.left(10.0) is None
    assert state.line(10.0) == "1 of 4 jobs, 10 s"


def test_jobs_that_are_left_last_as_long_as_those_of_their_stage():
    state = progress(train=5, plane=3)
    for number in range(3):  # one after the other
        state.started(number, "train", 10.0 * number)
        state.ended(number, 10.0 * number + 10)
    state.started(3, "plane", 30.0)
    state.ended(3, 32.0)
    # two of 10 s, two of 2 s, one at a time
    assert state.left(32.0) == pytest.approx(24.0)


def test_two_at_once_take_half_the_time():
    state = progress(train=10)
    for number in range(4):
        state.started(number, "train", 10.0 * (number // 2))
        state.ended(number, 10.0 * (number // 2) + 10)
    assert state.left(20.0) == pytest.approx(30.0)


def test_what_a_running_job_has_done_counts():
    state = progress(train=4)
    for number in range(3):
        state.started(number, "train", 10.0 * number)
        state.ended(number, 10.0 * number + 10)
    state.started(3, "train", 30.0)
    assert state.left(36.0) == pytest.approx(4.0)
    assert state.line(36.0) == "3 of 4 jobs, 36 s; train; about 4 s left"


def test_a_job_that_failed_is_left_and_one_that_is_tried_again_begins_anew():
    state = progress(train=2)
    state.started(1, "train", 0.0)
    state.failed(1)
    state.started(1, "train", 5.0)
    state.ended(1, 7.0)
    assert (state.done, state.total, state.seconds) == (1, 2, {"train": [2.0]})


def test_several_jobs_of_a_stage_are_counted():
    state = progress(train=3, surface=1)
    for number in range(2):
        state.started(number, "train", 0.0)
    state.started(2, "surface", 0.0)
    assert state.line(1.0) == "0 of 4 jobs, 1 s; train 2, surface"


DURATIONS = {
    0.4: "0 s",
    99.4: "99 s",
    100: "2 min",
    5990: "1 h 40 min",
    3 * 3600 + 300: "3 h 05 min",
    50 * 3600: "2 days 2 h",
}


@pytest.mark.parametrize("seconds", DURATIONS)
def test_durations(seconds):
    assert duration(seconds) == DURATIONS[seconds]
