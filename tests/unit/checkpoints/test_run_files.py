"""The runs of a group, as a job's context names them."""

import pytest

from fedscape.checkpoints.run_files import RunFiles, group_runs
from fedscape.jobs.job import JobContext

NAMES = ("study", "scale", "dataset", "model", "partition", "init", "method", "seed")


def context(**inputs) -> JobContext:
    shared = {"study": "s", "scale": "smoke"}
    runs = [dict(zip(NAMES[2:], ("d", "m", "p", "i", method, 0), strict=True)) for method in ("a", "b")]
    names = {**shared, "name": "finals", "group": "g"}
    return JobContext({"runs": runs}, names, inputs, shared, "cpu", ([], []))


def test_each_run_has_its_names_and_its_files():
    files = {name: [f"{name}-a", f"{name}-b"] for name in ("trajectories", "clients", "partitions")}
    first, second = group_runs(context(**files), "curvature")
    values = ("s", "smoke", "d", "m", "p", "i", "a", 0)
    entry = {"curvature": "finals", "group": "g"}
    identity = dict(zip(NAMES, values, strict=True)) | entry
    assert first == RunFiles(identity, "trajectories-a", "clients-a", "partitions-a")
    assert second == RunFiles({**identity, "method": "b"}, "trajectories-b", "clients-b", "partitions-b")


def test_files_that_a_stage_does_not_read_are_none():
    for inputs in ({}, {"clients": [], "partitions": []}):
        runs = group_runs(context(trajectories=["a", "b"], **inputs), "drift")
        assert [(run.trajectory, run.clients, run.partition) for run in runs] == [
            ("a", None, None),
            ("b", None, None),
        ]


def test_a_run_without_a_file_is_no_match():
    with pytest.raises(ValueError, match="zip"):
        group_runs(context(trajectories=["a"]), "drift")
