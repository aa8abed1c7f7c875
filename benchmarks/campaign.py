"""What it takes Snakemake and `fedscape status` to look at a campaign of thousands of jobs.

A copy of the repository gets a study of that many runs on scikit-learn's digits. Measured are `snakemake
--list`, which reads the workflow and no more, and `snakemake -n` before anything is made; beside it the same
of a workflow of the same jobs, files, logs and resources in Snakemake's own language, with no function of
ours, no settings that are compared and no check. Then, with everything recorded as made (by `--touch`, no run
is trained), `snakemake -n` again, which finds nothing to do, and `fedscape status`.
Python's start is included. Seconds of the processor hardly depend on what else runs; those on the clock do.

    .venv/bin/python benchmarks/campaign.py --jobs 3000
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import snakemake
from measured import ROOT, Options, Place, Table

from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml
from fedscape.study.jobs import Job, jobs_of, targets
from fedscape.study.stages.data import PARTITION, dataset_file
from fedscape.study.stages.every import STAGES
from fedscape.study.stages.training import INITIAL
from fedscape.study.study import Study

PARTS = ("Snakefile", "config", "envs", "examples", "profiles", "rules", "src", "workflow")
SEEDS = 10
KIB = 1024  # bytes; Linux counts a process's memory in these
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


SAME_INPUTS = {
    "dataset": [],
    "partition": [dataset_file("{dataset}")],
    "initial": [dataset_file("{dataset}")],
    "train": [dataset_file("{dataset}"), PARTITION.outputs["samples"], INITIAL.outputs["start"]],
}
"""The inputs of rules that many jobs have, as patterns; of those with one job its files are listed."""
BARE_HEAD = """\
import json

INPUTS = json.load(open("inputs.json"))
"""
BARE_RULE = """

rule {name}:
    input:
        {inputs},
    output:
        {outputs},
    log:
        {log!r},
    benchmark:
        {benchmark!r}
    conda:
        "envs/cpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 480 * attempt,
    script:
        "workflow/scripts/{name}.py"
"""


def write_bare(folder: Path, jobs: list[Job], targets: list[str]) -> None:
    """A Snakefile of the same jobs without any function of ours."""
    inputs = {job.rule: list(job.inputs) for job in jobs if job.rule not in SAME_INPUTS}
    (folder / "inputs.json").write_text(json.dumps({**inputs, "all": targets}))
    rules = [
        BARE_RULE.format(
            name=name,
            inputs=SAME_INPUTS.get(name, f"INPUTS[{name!r}]"),
            outputs=list(STAGES[name].outputs.values()),
            log=STAGES[name].log,
            benchmark=STAGES[name].benchmark,
        )
        for name in dict.fromkeys(job.rule for job in jobs)
    ]
    text = f"{BARE_HEAD}\n\nrule all:\n    input:\n        INPUTS['all'],\n{''.join(rules)}"
    (folder / "bare.smk").write_text(text)


def mark_as_made(folder: Path, study: Study) -> None:
    """Have Snakemake record all of a study as made; its outputs are empty files."""
    for job in jobs_of(study):
        for output in () if job.temporary else job.outputs:
            (folder / output).parent.mkdir(parents=True, exist_ok=True)
            (folder / output).touch()
    run(folder, "-c", TOUCH, "--touch", "--cores", "1", "--quiet", "all", "--forceall", "--", study.name)


@dataclass(frozen=True)
class Taken:
    """What a process took: seconds of the processor and on the clock, and bytes of memory at most."""

    processor: float
    clock: float
    memory: int


def run(folder: Path, *arguments: str) -> Taken:
    """What a Python process takes in the folder."""
    began = time.perf_counter()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(folder / "src")}
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)  # which tells of this process, not of all before it
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit((folder / "said").read_text())
    clock = time.perf_counter() - began
    return Taken(usage.ru_utime + usage.ru_stime, clock, usage.ru_maxrss * KIB)


def measured(folder: Path, repetitions: int, *arguments: str) -> tuple[str, str, str]:
    """Medians: seconds of the processor, on the clock, and MB; ranges of the seconds."""
    taken = [run(folder, *arguments) for _ in range(repetitions)]

    def seconds(which: Callable[[Taken], float]) -> str:
        values = [which(one) for one in taken]
        return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"

    memory = median(one.memory for one in taken) / 1e6
    return seconds(lambda one: one.processor), seconds(lambda one: one.clock), f"{memory:.0f}"


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
        jobs = jobs_of(study)
        print(f"{len(jobs)} jobs; medians of {asked.repetitions}, range\n")
        write_bare(folder, jobs, targets(study))
        table = Table(place, "", "seconds of the processor", "on the clock", "memory, MB")

        def row(name: str, *arguments: str) -> None:
            table.row(name, *measured(folder, asked.repetitions, "-m", *arguments))

        dry_run = ("snakemake", "-n", "many")
        row("`snakemake --list`", "snakemake", "--list")
        row("`snakemake -n`, nothing made", *dry_run)
        row("the same jobs without a function of ours", "snakemake", "-n", "--snakefile", "bare.smk")
        mark_as_made(folder, study)
        row("`snakemake -n`, all made", *dry_run)
        row("`fedscape status`", "fedscape.cli", "status", "many")


if __name__ == "__main__":
    main()
