"""A repository with a study of its own, and results as jobs leave them, made up."""

import json
import shutil
import time
from pathlib import Path

from fedscape.jobs.recorded import FOLDER, record_path
from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import Job, jobs_of
from fedscape.study.study import Study

ROOT = Path(__file__).resolve().parents[2]
RUN = "results/tiny/smoke/runs/digits/convnet/iid/random/fedavg/seed0"
STUDY = """\
title: Tiny
paper: Nobody
datasets: [digits]
models: {convnet: {}}
partitions:
  iid: {scheme: iid, clients: 4}
  dir0.1: {scheme: dirichlet, clients: 4, alpha: 0.1}
inits: {random: {kind: random}}
methods:
  fedavg: {rounds: 20, local_epochs: 2, batch_size: 16, lr: 0.1, keep_rounds: {every: 5}}
runs: [{}]
planes:
  paths: {kind: trajectory, grid: 5, parts: 2}
drift: {moves: {}}
figures:
  accuracy: {kind: curves, table: rounds, measure: test_accuracy}
scales:
  smoke: {}
  paper: {datasets: [cifar10], methods: {fedavg: {rounds: 100}}}
"""


def repository(folder: Path) -> Path:
    """A folder with what the commands read, and one study."""
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    (folder / "config" / "studies").mkdir(parents=True)
    for name in ("config.yaml", "costs.csv"):
        shutil.copy(ROOT / "config" / name, folder / "config" / name)
    (folder / "config" / "studies" / "tiny.yaml").write_text(STUDY)
    (folder / "Snakefile").touch()
    return folder


def tiny(folder: Path, scale: str = "smoke") -> Study:
    """The study of the repository."""
    return read_study(folder, {**read_yaml(ROOT / "config/config.yaml"), "study": "tiny", "scale": scale})


def job_of(folder: Path, rule: str, **names: str) -> Job:
    """The first job of a rule with these wildcards."""
    jobs = jobs_of(tiny(folder))
    return next(job for job in jobs if job.rule == rule and names.items() <= job.wildcards.items())


def made(folder: Path, job: Job, log: str = "ended after 1.0 s\n") -> None:
    """Leave what a job leaves that came to its end."""
    for path in job.outputs:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    logged(folder, job, log)


def logged(folder: Path, job: Job, text: str) -> None:
    """Write a job's log."""
    (folder / job.log).parent.mkdir(parents=True, exist_ok=True)
    (folder / job.log).write_text(text)


def recorded(folder: Path, job: Job, strings: list[str], **changes: object) -> None:
    """Record a job as Snakemake 9.27 does."""
    for path in job.outputs:
        place = folder / record_path(FOLDER, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "record_format_version": 6,
            "rule": job.rule,
            "params": [repr(strings)],
            "input": sorted(job.inputs),
            "input_checksums": {},
            "endtime": time.time(),
        }
        place.write_text(json.dumps({**record, **changes}))


def training(folder: Path, rounds: int, of: Path) -> None:
    """A resume folder of a run after so many rounds, each of which took two seconds."""
    of.mkdir(parents=True)
    (of / "lock").write_text("here 1\n")
    state = {"fingerprint": "f", "finished": None, "progress": {"round": rounds}}
    (of / "progress.json").write_text(json.dumps(state))
    rows = [f"{number},{0.1 + number / 100:.2f}" for number in range(rounds + 1)]
    (of / "rounds.csv").write_text("\n".join(["round,test_accuracy", *rows, "cut o"]))
    rows = [f"{number},1.5,0.5,100" for number in range(rounds + 1)]
    (of / "timing.csv").write_text("\n".join(["round,training_seconds,evaluation_seconds,peak_memory_mib", *rows, ""]))
