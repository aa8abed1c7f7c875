"""How long Snakemake and `fedscape status` take to look at a campaign of thousands of jobs.

A copy of the repository gets a study of that many runs on scikit-learn's digits. Timed are `snakemake -n`
before anything is made, then, with everything recorded as made (by `--touch`, no run is trained), the same
again, which finds nothing to do, and `fedscape status`. Seconds on the clock, Python's start included.

    .venv/bin/python benchmarks/campaign.py --jobs 3000
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import snakemake
from measured import ROOT, Options, Place, Table

from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import jobs_of
from fedscape.study.study import Study

PARTS = ("Snakefile", "config", "envs", "examples", "profiles", "rules", "src", "workflow")
SEEDS = 10
SMALLEST = 20  # jobs; the figure shows two methods
# Snakemake pauses a tenth of a second before it touches a job's outputs.
TOUCH = (
    "from snakemake.executors.touch import Executor; Executor.SLEEPING_TIME = 0; "
    "from snakemake.cli import main; main()"
)


def study_of(jobs: int) -> str:
    """A study of a little more than so many jobs: a run for each method and seed."""
    methods = "\n".join(
        f"  lr{number}: {{algorithm: fedavg, rounds: 1, batch_size: 32, lr: {(number + 1) / 1000}}}"
        for number in range(jobs // SEEDS)
    )
    return f"""\
title: Many runs
paper: none
datasets: [digits]
seeds: {[*range(SEEDS)]}
models: {{convnet: {{}}}}
partitions: {{iid: {{scheme: iid, clients: 10}}}}
inits: {{random: {{kind: random}}}}
methods:
{methods}
runs: [{{model: convnet}}]
figures:
  accuracy: {{kind: curves, table: rounds, where: {{seed: 0, method: [lr0, lr1]}}, measure: test_accuracy}}
scales: {{quick: {{}}}}
"""


def mark_as_made(folder: Path, study: Study) -> None:
    """Have Snakemake record all of a study as made; its outputs are empty files."""
    for job in jobs_of(study):
        for output in () if job.temporary else job.outputs:
            (folder / output).parent.mkdir(parents=True, exist_ok=True)
            (folder / output).touch()
    run(folder, "-c", TOUCH, "--touch", "--cores", "1", "--quiet", "all", "--forceall", "--", study.name)


def run(folder: Path, *arguments: str) -> float:
    """Seconds that a Python process takes in the folder."""
    began = time.perf_counter()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(folder / "src")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began


def timed(folder: Path, repetitions: int, *arguments: str) -> str:
    """Median and range of the seconds."""
    seconds = [run(folder, *arguments) for _ in range(repetitions)]
    return f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"


def main() -> None:
    parser = Options(__doc__, jobs=SMALLEST, repetitions=1)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.read()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copy(ROOT / part, folder / part)
        (folder / "config" / "studies" / "many.yaml").write_text(study_of(asked.jobs))
        config = {**read_yaml(folder / "config" / "config.yaml"), "study": "many", "scale": "quick"}
        study = read_study(folder, config)
        place = Place.here()
        print(f"{place}, Snakemake {snakemake.__version__}")
        print(f"{len(jobs_of(study))} jobs; medians of {asked.repetitions}, range\n")
        table = Table(place, "", "seconds")
        dry_run = ("-m", "snakemake", "-n", "many")
        briefly = (*dry_run, "--quiet", "rules")
        status = ("-m", "fedscape.cli", "status", "many")
        table.row("`snakemake -n`, nothing made", timed(folder, asked.repetitions, *dry_run))
        table.row("the same with `--quiet rules`", timed(folder, asked.repetitions, *briefly))
        mark_as_made(folder, study)
        table.row("`snakemake -n`, all made", timed(folder, asked.repetitions, *dry_run))
        table.row("`fedscape status`", timed(folder, asked.repetitions, *status))


if __name__ == "__main__":
    main()
