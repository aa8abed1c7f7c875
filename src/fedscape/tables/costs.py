"""What the jobs of a study cost. Only tables that show a cost read a clock as well."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns.csvs import write_csv
from fedscape.columns.identity import IDENTITY
from fedscape.columns.runs import COST, COSTS
from fedscape.errors import FedscapeError
from fedscape.tables.read import joined

STAGES = {  # the stage that writes a file
    "plane.safetensors": "plane",
    "surface.csv": "surface",
    "path.csv": "path",
    "layers.csv": "layers",
    "curvature.csv": "curvature",
}
ORDER = [*COSTS.row_keys, *IDENTITY[2:-1]]  # of the rows; seeds as they come
WALL, MEMORY = "s", "max_rss"  # columns of a benchmark: seconds, MiB


def make_costs(
    *, study: str, scale: str, timings: Sequence[Path], made: Sequence[Path], benchmarks: Path, out: Path
) -> None:
    """Write costs.csv, one row per long job.

    timings: timing.csv of each run, a row per round: seconds of training and aggregation, evaluation_seconds,
    and peak_memory_mib (MiB, the highest so far: of the GPU, or of the process on a CPU). made: an output of
    each other long job. benchmarks: folder of Snakemake's benchmark files; a job that has none (made before
    they were kept) has empty cells.
    out: identity; stage, name, group, part; `run_costs` of a run; job_seconds and job_peak_memory_mib of the
    job's process, the last one if it was started several times.
    Raises FedscapeError if a file is not whole or lacks a column.
    """
    runs = run_costs(joined(timings, "timing")).to_dict("records")
    rows = [{**run, **_benchmark(benchmarks / "train" / f"{_run_name(run)}.tsv")} for run in runs]
    for row in rows:
        row["stage"] = "train"
    for path in made:
        rows += _job_rows(path, study, scale, benchmarks)
    write_csv(out, pd.DataFrame(rows, columns=COSTS.columns), sort_by=ORDER)


def run_costs(timing: pd.DataFrame) -> pd.DataFrame:
    """What each run cost, from its rounds: one row per run.

    rounds; seconds (training and evaluation, all rounds); evaluation_seconds (of those); median_round_seconds
    (training and evaluation of one round); peak_memory_mib; median_training_seconds.
    """
    rows = [_cost(run) for _, run in timing.groupby(IDENTITY)] if len(timing) else []
    return pd.DataFrame(rows, columns=[*IDENTITY, *COST])


def _cost(run: pd.DataFrame) -> dict:
    seconds = run["training_seconds"] + run["evaluation_seconds"]
    trained = run["round"] > 0  # round 0 is the start: nothing is trained
    return {
        **run.iloc[-1][IDENTITY],
        "rounds": run["round"].max(),
        "seconds": seconds.sum(),
        "evaluation_seconds": run["evaluation_seconds"].sum(),
        "median_round_seconds": seconds[trained].median(),
        "peak_memory_mib": run["peak_memory_mib"].max(),
        "median_training_seconds": run["training_seconds"][trained].median(),
    }


def _run_name(run: dict) -> str:
    *names, seed = (run[column] for column in IDENTITY[2:])
    return "_".join([*names, f"seed{seed}"])


def _job_rows(path: Path, study: str, scale: str, benchmarks: Path) -> list[dict]:
    """The row of the job that made a file; of a surface that was split, a row per part as well."""
    identity = {**dict.fromkeys(IDENTITY, "*"), "study": study, "scale": scale}
    if path.name not in STAGES:  # initial/{dataset}/{model}/{init}/seed{seed}.safetensors
        dataset, model, init, seed = *path.parts[-4:-1], path.stem
        identity |= {"dataset": dataset, "model": model, "init": init, "seed": seed.removeprefix("seed")}
        name = "_".join([dataset, model, init, seed])
        return [{**identity, "stage": "initial", **_benchmark(benchmarks / "initial" / f"{name}.tsv")}]
    name, group = path.parts[-3:-1]
    stage = STAGES[path.name]
    row = {**identity, "dataset": group.partition("_")[0], "name": name, "group": group}
    seed = group.rpartition("_seed")[2]
    if seed.isdigit() and f"_seed{seed}" in group:
        row["seed"] = seed
    whole = {**row, "stage": stage, **_benchmark(benchmarks / stage / f"{name}_{group}.tsv")}
    if stage != "surface":
        return [whole]
    parts = sorted((benchmarks / "surface_part").glob(f"{name}_{group}_*-of-*.tsv"))
    beginning = len(f"{name}_{group}_")
    return [
        whole,
        *({**row, "stage": "surface_part", "part": one.stem[beginning:], **_benchmark(one)} for one in parts),
    ]


def _benchmark(path: Path) -> dict:
    """Seconds and memory from a benchmark file; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        table = pd.read_csv(path, sep="\t", na_values=["-"])
        row = table[[WALL, MEMORY]].astype(float).iloc[-1]
    except (ValueError, KeyError, IndexError) as error:
        raise FedscapeError(f"{path}: no benchmark of Snakemake's; delete the file") from error
    return {"job_seconds": row[WALL], "job_peak_memory_mib": row[MEMORY]}
