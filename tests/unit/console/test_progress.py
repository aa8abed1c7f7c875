"""What is done of a call, and the estimate of the time left."""

from collections import Counter

import pytest

from fedscape.console.progress import CallProgress


def progress(**totals) -> CallProgress:
    return CallProgress(0.0, Counter(totals))


def three_ended_and_one_begun(**totals) -> CallProgress:
    """Three jobs of 10 s, one after the other, and a fourth that has just begun."""
    state = progress(**totals)
    for number in range(3):
        state.started(number, "train", 10.0 * number)
        state.ended(number, 10.0 * number + 10)
    state.started(3, "train", 30.0)
    return state


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
    state = three_ended_and_one_begun(train=4)
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


def test_a_job_that_says_how_far_it_is_tells_how_long_its_stage_takes():
    state = three_ended_and_one_begun(train=5)
    state.parts = {3: 0.25}
    # a quarter in 10 s: 30 s are left of it, and the fifth takes the mean of three of 10 s and one of 40 s
    assert state.left(40.0) == pytest.approx(30.0 + 17.5)
    assert state.line(40.0) == "3 of 5 jobs, 40 s; train (25 %); about 48 s left"


def test_what_is_known_of_a_job_goes_with_it():
    state = progress(train=2)
    state.started(0, "train", 0.0)
    state.parts = {0: 0.5}
    state.ended(0, 2.0)
    assert state.parts == {}


def test_of_many_jobs_the_line_has_the_range():
    state = progress(train=8, surface=1)
    for number in range(6):
        state.started(number, "train", 0.0)
    state.started(6, "surface", 0.0)
    state.parts = {0: 0.1, 6: 0.999}
    assert state.line(1.0) == "0 of 9 jobs, 1 s; train 6 (10 %), surface (99 %)"
    state.parts = {number: number / 10 for number in range(5)}
    assert state.line(1.0) == "0 of 9 jobs, 1 s; train 6 (0 to 40 %), surface"
