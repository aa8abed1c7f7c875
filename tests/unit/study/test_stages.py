"""Homes of stages: which jobs a study has of them, and names that are of no job."""

import re

import pytest
from edited_study import reader

from fedscape.study.jobs import check_job_names
from fedscape.study.stages.every import STAGES
from fedscape.study.study import UnknownName

STUDY = """
title: A study
datasets: [digits]
seeds: [0, 1]
models: {convnet: {}}
partitions: {iid: {scheme: iid, clients: 4}}
inits: {random: {kind: random}}
methods: {a: {algorithm: fedavg, rounds: 4}, b: {algorithm: fedavg, rounds: 4, lr: 0.1}}
runs: [{}]
planes: {whole: {kind: trajectory}, shared: {kind: trajectory, parts: 2, grid: 5}}
connectivity:
  lines: {kind: path, from: {method: a}, to: {method: b}}
  layers: {kind: layers, from: {method: a}, to: {method: b}}
scales: {smoke: {}}
"""
GROUP = {"group": "digits_all_seed0"}


@pytest.fixture
def study(tmp_path):
    return reader(tmp_path, STUDY)().get("pilot")


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_stage_names_each_job_once(study, stage):
    """Several runs share a partition and a start; whoever lists jobs need not know."""
    jobs = [tuple(job.items()) for job in stage.jobs(study)]
    assert len(set(jobs)) == len(jobs)


NO_JOBS = {
    "a layers entry asked for as a path": ("path", {"name": "layers"}, "layers/digits_all_seed0"),
    "a path asked for by its layers": ("layers", {"name": "lines"}, "lines/digits_all_seed0"),
    "an entry": ("surface", {"name": "othr"}, "othr"),
    "a group": ("surface", {"name": "whole", "group": "digits_all_seed7"}, "digits_all_seed7"),
    "too many parts": (
        "surface_part",
        {"name": "shared", "part": "7", "parts": "9"},
        "7/9",
    ),
    "a part that is not there": (
        "surface_part",
        {"name": "shared", "part": "3", "parts": "2"},
        "3/2",
    ),
    "a part of one job's surface": (
        "surface_part",
        {"name": "whole", "part": "1", "parts": "1"},
        "1/1",
    ),
    "a figure": ("figure", {"figure": "othr"}, "othr"),
    "a table": ("table", {"table": "othr"}, "othr"),
    "a partition": ("partition", {"dataset": "digits", "partition": "othr", "seed": "0"}, "othr"),
    "a start": ("initial", {"dataset": "digits", "model": "convnet", "init": "othr", "seed": "0"}, "othr"),
}


@pytest.mark.parametrize("case", NO_JOBS)
def test_names_of_no_job_are_told_from_slips_of_ours(study, case):
    stage, wildcards, name = NO_JOBS[case]
    with pytest.raises(UnknownName, match=re.escape(name)):
        check_job_names(STAGES[stage], study, {**GROUP, **wildcards})


def test_parts_of_a_surface_are_jobs(study):
    parts = [job for job in STAGES["surface_part"].jobs(study) if job["group"] == GROUP["group"]]
    assert [(job["name"], job["part"], job["parts"]) for job in parts] == [
        ("shared", "1", "2"),
        ("shared", "2", "2"),
    ]
    files = [STAGES["surface_part"].file(study, job, "points") for job in parts]
    assert STAGES["surface"].inputs(study, {**GROUP, "name": "shared"})["parts"] == files
    assert STAGES["surface"].inputs(study, {**GROUP, "name": "whole"})["parts"] == []


def test_logs_are_named_after_what_tells_jobs_apart():
    labels = {name: stage.log.rpartition("/")[2] for name, stage in STAGES.items()}
    assert labels["train"] == "{dataset}_{model}_{partition}_{init}_{method}_seed{seed}.log"
    assert labels["surface_part"] == "{name}_{group}_{part}-of-{parts}.log"
    assert (labels["tables"], labels["dataset"]) == ("tables.log", "{dataset}.log")


def test_a_figure_of_partitions_reads_them_in_the_order_of_its_list(tmp_path):
    several = (
        "dir2: {scheme: iid, clients: 4}, iid: {scheme: iid, clients: 4}, dir1: {scheme: iid, clients: 4}"
    )
    text = STUDY.replace("iid: {scheme: iid, clients: 4}", several)
    text += "figures: {counts: {kind: partitions, partitions: [iid, dir1, dir2]}}\n"
    study = reader(tmp_path, text)().get("pilot")
    files = STAGES["figure"].inputs(study, {"figure": "counts"})["partitions"]
    names = [re.findall(r"/(\w+)/seed(\d)", file)[0] for file in files]
    assert names == [(name, seed) for name in ("iid", "dir1", "dir2") for seed in "01"]
