"""The command `fedscape` and what a result's origin is, on a study that Snakemake has made."""

import json
import os
import shutil
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml

from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import jobs_of

RESULTS = "results/pilot/quick"
SLOW = {"torch", "snakemake", "matplotlib"}  # packages that take a second to import


def fedscape(clone, *arguments: str) -> list[str]:
    """The lines that the command prints, started in the clone as its users do."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "fedscape.cli", *arguments],
        cwd=clone.folder, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(clone.folder / "src")},
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "fedscape.study.study" in imported and not SLOW & imported
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def jobs(made):
    """The jobs of the study that was made."""
    return jobs_of(read_study(made.folder, read_yaml(made.folder / "config" / "config.yaml")))


def test_all_jobs_are_done(made, jobs):
    first, *lines = fedscape(made, "status")
    assert first == f"pilot at quick: {len(jobs)} of {len(jobs)} jobs done"
    assert not [line for line in lines if "failed" in line or "waiting" in line]


def test_every_kind_of_result_is_up_to_date(made, jobs):
    for job in {job.rule: job for job in jobs}.values():
        assert fedscape(made, "why", job.outputs[0]) == ["up to date"], job


def test_why_names_the_setting_that_snakemake_would_run_again_for(made):
    study = made.folder / "config/studies/pilot.yaml"
    before = study.read_bytes()
    try:
        made.replace("config/studies/pilot.yaml", "clients: 10, alpha: 0.5}", "clients: 10, alpha: 0.4}")
        line = f"{RESULTS}/partitions/digits/dir0.5/seed0.npz: partition.alpha: 0.5 -> 0.4"
        assert line in fedscape(made, "why", f"{RESULTS}/figures/figure-3a.png")
    finally:
        study.write_bytes(before)


def test_a_benchmark_makes_nothing_run(made):
    folder = made.folder / RESULTS / "benchmarks"
    names = {path.name for path in folder.iterdir()}
    assert names == {"train", "initial", "plane", "surface", "path", "layers", "curvature"}
    long_ago = time.time() - 10**6
    for path in folder.rglob("*.tsv"):
        os.utime(path, (long_ago, long_ago))
    assert made.pending() == {}
    for path in folder.rglob("*.tsv"):
        path.touch()
    kept = folder.with_name("kept")
    shutil.move(folder, kept)
    try:
        assert made.pending() == {}
    finally:
        kept.rename(folder)


def test_costs_has_a_measured_row_for_each_long_job(made, jobs):
    costs = pd.read_csv(made.folder / RESULTS / "tables" / "costs.csv")
    stages = ["initial" if job.rule == "pretrain" else job.rule for job in jobs]  # two rules for starts
    long = [stage for stage in stages if stage in set(costs["stage"])]
    assert costs["stage"].value_counts().to_dict() == pd.Series(long).value_counts().to_dict()
    assert (costs["job_seconds"] > 0).all() and (costs["job_peak_memory_mib"] > 0).all()


def test_the_settings_lie_beside_the_results_and_a_dry_run_writes_none(made):
    path = made.folder / RESULTS / "config.yaml"
    content = yaml.safe_load(path.read_text())
    runs = pd.read_csv(made.folder / RESULTS / "tables" / "runs.csv")
    assert len(content["runs"]) == len(runs)
    assert content["methods"]["fedavg"]["training"]["rounds"] == 20
    assert content["made_with"]["fedscape"] and "commit" in content["made_with"]
    kept = path.rename(path.with_suffix(".kept"))
    try:
        made.snakemake("-n", "--forcerun", "tables")
        assert not path.exists()
    finally:
        kept.rename(path)


def test_a_run_tells_where_it_comes_from(made):
    run = json.loads(
        (made.folder / RESULTS / "runs/digits/convnet/iid/random/fedavg/seed0/run.json").read_text()
    )
    assert {"commit", "dirty", "packages", "device", "fingerprint", "training", "peak_memory_mib"} <= set(run)
    timing = pd.read_csv(made.folder / RESULTS / "runs/digits/convnet/iid/random/fedavg/seed0/timing.csv")
    assert run["seconds"] == pytest.approx(
        (timing["training_seconds"] + timing["evaluation_seconds"]).sum(), abs=0.01
    )


def test_cost_counts_the_jobs_that_snakemake_lists(made, jobs):
    for scale in ("quick", "smoke"):
        listed = sum(map(len, made.pending("pilot", "--forceall", "--config", f"scale={scale}").values()))
        first = fedscape(made, "cost", "pilot", "--config", f"scale={scale}")[0]
        assert first.startswith(f"pilot at {scale}: {listed} jobs")
