"""Which jobs go to SLURM together, without a SLURM."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as slurm
from snakemake_interface_common.exceptions import WorkflowError

from fedscape.jobs.submissions import exit_code
from snakemake_executor_plugin_fedscape_slurm.executor import Executor, SentMember, expanded
from snakemake_executor_plugin_fedscape_slurm.gathering import (
    Asked,
    Gathering,
    asks_for,
    pack_size,
    submissions,
)

LONG = 3600


class Resources(dict):
    __getattr__ = dict.get


def job(rule="train", threads=1, **resources):
    return SimpleNamespace(rule=SimpleNamespace(name=rule), threads=threads, resources=Resources(resources))


def gathering(seconds, enough=10):
    sent, told = [], threading.Event()

    def send(jobs):
        sent.append(jobs)
        told.set()

    return Gathering(seconds, lambda job: enough, send), sent, told


@pytest.mark.parametrize(
    ("jobs", "pack", "tasks", "expected"),
    [
        (8, 8, 1, [[8]]),
        (20, 8, 1, [[8], [8], [4]]),
        (20, 8, 100, [[8, 8], [4]]),
        (500, 1, 1000, [[1] * 500]),
        (500, 8, 1000, [[8] * 62, [4]]),
        (5, 1, 2, [[1, 1], [1, 1], [1]]),
        (3, 8, 100, [[3]]),
        (1, 8, 1, [[1]]),
    ],
)
def test_jobs_are_split_into_equal_tasks(jobs, pack, tasks, expected):
    sent = submissions(list(range(jobs)), pack, tasks)
    assert [[len(task) for task in one] for one in sent] == expected
    assert [number for one in sent for task in one for number in task] == list(range(jobs))


@pytest.mark.parametrize(
    "other",
    [
        job("pretrain", mem_mb=8000, gpu=1),
        job(threads=2, mem_mb=8000, gpu=1),
        job(mem_mb=16000, gpu=1),
        job(mem_mb=8000),
        job(mem_mb=8000, gpu=1, runtime=60),
        job(mem_mb=8000, gpu=1, slurm_partition="gpu"),
        job(mem_mb=8000, gpu="1"),
    ],
)
def test_jobs_that_ask_for_something_else_are_not_sent_together(other):
    assert asks_for(job(mem_mb=8000, gpu=1)) != asks_for(other)


def test_what_slurm_is_not_asked_for_keeps_no_jobs_apart():
    assert asks_for(job(mem_mb=1, disk_mb=1, tmpdir="a")) == asks_for(job(tmpdir="b", disk_mb=2, mem_mb=1))


def test_a_pack_asks_for_the_memory_and_the_cores_of_its_members_and_for_one_gpu():
    one = job(threads=2, mem_mb=8000, gpu=1, cpus_per_task=3, runtime=60)
    asked = Asked([one] * 4)
    assert (asked.threads, asked.resources.mem_mb, asked.resources.cpus_per_task) == (8, 32000, 12)
    assert (asked.resources.gpu, asked.resources.runtime) == (1, 60)
    assert asked.rule is one.rule and one.resources.mem_mb == 8000
    assert not hasattr(asked.resources, "constraint")


def test_what_is_left_to_slurm_stays_so():
    assert Asked([job(cpus_per_task=-1)] * 4).resources == {"cpus_per_task": -1}


@pytest.mark.parametrize("pack", [0, -1, "eight", 2.5, True])
def test_a_pack_of_no_number_is_one_line(pack):
    with pytest.raises(
        WorkflowError, match=r"rule train: pack: .*; allowed is a whole number of jobs from 1"
    ):
        pack_size(job(pack=pack))


def test_without_a_pack_a_job_has_a_task_of_its_own():
    assert pack_size(job()) == 1 and pack_size(job(pack=8)) == 8


def test_enough_jobs_wait_for_no_other():
    waiting, sent, _ = gathering(LONG, enough=2)
    one, two, other, three = job(mem_mb=1), job(mem_mb=1), job(mem_mb=2), job(mem_mb=1)
    waiting.add([one])
    assert sent == []
    waiting.add([other, two, three])
    assert sent == [[one, two]]
    assert waiting.close() == [other, three]


def test_jobs_are_sent_when_none_has_come_for_a_while():
    waiting, sent, told = gathering(0.05)
    one, other = job(mem_mb=1), job(mem_mb=2)
    waiting.add([one, other])
    assert told.wait(10)
    assert waiting.close() == [] and [one] in sent


def test_jobs_do_not_wait_for_ever_where_others_keep_coming():
    waiting, sent, told = gathering(0.3)
    tries = 0
    while not told.wait(0.1):
        waiting.add([job()])
        tries += 1
        assert tries < 100
    assert sent and tries > 3
    waiting.close()


def test_nothing_is_sent_after_the_end():
    waiting, sent, told = gathering(0.1)
    waiting.add([job()])
    assert len(waiting.close()) == 1
    waiting.add([job()])
    assert not told.wait(0.5) and sent == []


@pytest.mark.parametrize(
    ("line", "tasks"),
    [
        ("7", ["7"]),
        ("7_3", ["7_3"]),
        ("7_[1-3]", ["7_1", "7_2", "7_3"]),
        ("7_[1,4-5%2]", ["7_1", "7_4", "7_5"]),
        ("7_[1-7:3]", ["7_1", "7_4", "7_7"]),
    ],
)
def test_lines_about_several_tasks(line, tasks):
    assert expanded(line) == tasks


def test_ctrl_c_cancels_what_is_looked_at_while_slurm_is_asked(monkeypatch, tmp_path):
    """Snakemake has emptied its own list of what runs by then."""
    cancelled = []

    async def none_alone(self, active_jobs):
        for sent in active_jobs:
            yield sent

    async def states():
        executor.cancel_jobs([])
        return {"7_1": "RUNNING", "7_2": "RUNNING"}

    monkeypatch.setattr(slurm.Executor, "check_active_jobs", none_alone)
    monkeypatch.setattr(slurm.Executor, "cancel_jobs", lambda self, jobs: cancelled.extend(jobs))
    executor = object.__new__(Executor)
    executor.workflow = SimpleNamespace(
        executor_settings=SimpleNamespace(init_seconds_before_status_checks=1, requeue=False)
    )
    executor._missed, executor._looked_at, executor._states = {}, [], states
    executor.next_seconds_between_status_checks = 1
    sent = [
        SentMember(job(), f"7_{task}", exit_file=tmp_path / f"{task}-{place}.exit")
        for task in (1, 2)
        for place in (0, 1)
    ]

    async def look():
        return [left async for left in executor.check_active_jobs(sent)]

    assert asyncio.run(look()) == sent
    assert [one.external_jobid for one in cancelled] == ["7_1", "7_2"], "each task once"


def test_an_exit_file_that_cannot_be_read_is_no_word(tmp_path):
    (tmp_path / "1-0.exit").mkdir()
    (tmp_path / "1-1.exit").write_bytes(b"\xff")
    for name in ("1-0.exit", "1-1.exit", "1-2.exit"):
        assert exit_code(tmp_path / name) is None
