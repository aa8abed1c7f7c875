"""What it saves that jobs are forked from a process which has imported packages: a study with and without.

Copies of the repository make the same study in turns. Seconds are those on the clock, and those of the
processor for Snakemake and all its jobs, which a busy machine changes less. All files but those with times of
day must be the same bytes.

    .venv/bin/python benchmarks/start.py --scale quick
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import snakemake
from measured import ROOT, Options, Place, Table

from fedscape.jobs.forked import SWITCH

PARTS = ("Snakefile", "config", "envs", "examples", "profiles", "rules", "src", "workflow")
WAYS = {"forked": "1", "by themselves": "0"}  # value of the switch
CLOCKED = {"timing.csv", "costs.csv", "index.html", "run.json", "config.yaml"}
SMALLEST = "results/pilot/smoke/runs/digits/convnet/iid/random/fedavg/seed0/rounds.csv"


def make(folder: Path, way: str, target: str, scale: str, cores: int) -> tuple[float, float]:
    """Seconds on the clock and of the processor that a study takes in a new copy of the repository."""
    shutil.rmtree(folder, ignore_errors=True)
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / part, folder / part)
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), SWITCH: WAYS[way]}
    before, began = os.times(), time.perf_counter()
    arguments = [target, "--cores", str(cores), "--config", f"scale={scale}"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    seconds, after = time.perf_counter() - began, os.times()
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    computed = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, computed


def results(folder: Path) -> dict[str, bytes]:
    """What was made, by its place, without what the clock says."""
    made = (path for path in (folder / "results").rglob("*") if path.is_file())
    places = {path.relative_to(folder): path for path in made}
    return {
        str(place): path.read_bytes()
        for place, path in places.items()
        if place.name not in CLOCKED and not {"logs", "benchmarks"} & {*place.parts}
    }


def main() -> None:
    parser = Options(__doc__, target=SMALLEST, scale="smoke", repetitions=1, cores=1)
    parser.add_argument("--target", default="pilot", help="a study, or files of one")
    parser.add_argument("--scale", default="quick")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of a job")
    parser.add_argument("--repetitions", type=int, default=1)
    asked = parser.read()
    place = Place.here(asked.threads)
    print(f"{place}, Snakemake {snakemake.__version__}")
    print(f"{asked.target} at {asked.scale}, {asked.cores} core(s), medians of {asked.repetitions}\n")
    taken = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(asked.repetitions):
            made = []
            for way in WAYS:
                taken[way].append(make(Path(name, "copy"), way, asked.target, asked.scale, asked.cores))
                made.append(results(Path(name, "copy")))
            if made[0] != made[1]:
                differ = [path for path in made[0] | made[1] if made[0].get(path) != made[1].get(path)]
                sys.exit(f"not the same bytes: {', '.join(differ)}")
    table = Table(place, "jobs start", "seconds", "seconds of the processor", "share of them")
    seconds, computed = (
        {way: median(both[part] for both in taken[way]) for way in WAYS} for part in range(2)
    )
    for way in WAYS:
        share = computed[way] / computed["by themselves"]
        table.row(way, f"{seconds[way]:.1f}", f"{computed[way]:.1f}", f"{share:.2f}")


if __name__ == "__main__":
    main()
