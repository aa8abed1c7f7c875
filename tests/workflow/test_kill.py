"""A study whose jobs are killed over and over ends with the same bytes, and goes on from what was committed.

A short form runs with the other tests. By hand, for longer:

    FEDSCAPE_KILLS=60 FEDSCAPE_KILL_SCALE=quick python -m pytest -s tests/workflow/test_kill.py

FEDSCAPE_KILL_STUDY and FEDSCAPE_KILL_SEED choose another study and other moments; FEDSCAPE_KILL_EXECUTOR says
where the jobs run. With `--profile slurm` that is a SLURM of the test's own:

    --profile slurm --jobs 4 --fedscape-slurm-init-seconds-before-status-checks 3 --latency-wait 20
"""

import json
import os
import shlex
from collections.abc import Iterator, Mapping

import pandas as pd
import pytest
from clone import Clone
from cluster import logged_in, running
from faults import Campaign

KILLS = int(os.environ.get("FEDSCAPE_KILLS", "10"))
SEED = int(os.environ.get("FEDSCAPE_KILL_SEED", "0"))
STUDY = os.environ.get("FEDSCAPE_KILL_STUDY", "pilot")
SCALE = os.environ.get("FEDSCAPE_KILL_SCALE", "smoke")
EXECUTOR = shlex.split(os.environ.get("FEDSCAPE_KILL_EXECUTOR", "--cores 2"))
CLOCKED = {"timing.csv", "costs.csv", "index.html"}
CLOCKED_KEYS = ("seconds", "evaluation_seconds", "peak_memory_mib", "started", "ended")  # of run.json


def content(path):
    """What must be the same: bytes, without what the clock says."""
    if path.name != "run.json":
        return path.read_bytes()
    return {key: value for key, value in json.loads(path.read_text()).items() if key not in CLOCKED_KEYS}


@pytest.fixture(scope="module")
def undisturbed(smoke, tmp_path_factory) -> Clone:
    clone = smoke if SCALE == "smoke" else Clone(tmp_path_factory.mktemp("undisturbed"))
    clone.snakemake(STUDY, "--cores", "2", "--config", f"scale={SCALE}")
    return clone


@pytest.fixture
def environment(tmp_path_factory) -> Iterator[Mapping[str, str]]:
    """What Snakemake needs to find the cluster that jobs run on, if they do."""
    if "slurm" not in EXECUTOR:
        yield {}
        return
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield logged_in(cluster)


def test_a_study_under_fire(undisturbed, environment, tmp_path, capsys):
    jobs = undisturbed.jobs(STUDY, SCALE)
    benchmarks = undisturbed.folder / "results" / STUDY / SCALE / "benchmarks"
    seconds = {
        folder.name: pd.concat(pd.read_csv(path, sep="\t") for path in folder.iterdir())["s"].mean()
        for folder in benchmarks.iterdir()
    }
    seconds["pretrain"] = seconds["initial"]  # both write their benchmarks to one folder
    clone = Clone(tmp_path)
    tally = Campaign(clone, STUDY, SCALE, seconds, EXECUTOR, environment).play(KILLS, SEED)
    with capsys.disabled():
        print(f"\n{STUDY} at {SCALE}, {' '.join(EXECUTOR)}, seed {SEED}\n{tally}")
    assert tally.kills.total() >= KILLS / 2
    assert tally.committed.total(), "no kill after a commit: nothing could have been lost"
    assert not tally.losses
    outputs = [
        path
        for job in jobs
        for path in job.outputs
        if not job.temporary and path.rpartition("/")[2] not in CLOCKED
    ]
    assert [
        path for path in outputs if content(clone.folder / path) != content(undisturbed.folder / path)
    ] == []
    left = [
        path
        for pattern in ("resume*", "*.resume", "*.removed", "*.tmp", "*.new")
        for path in clone.folder.glob(f"results/**/{pattern}")
    ]
    assert left == []
    assert clone.pending(STUDY, "--config", f"scale={SCALE}") == {}
