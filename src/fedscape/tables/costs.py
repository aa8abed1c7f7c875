"""What the jobs of a study cost. Only tables that show a cost read a clock as well."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns.csvs import write_csv
from fedscape.columns.identity import IDENTITY
from fedscape.columns.runs import COST, COSTS_CSV
from fedscape.errors import FedscapeError
from fedscape.tables.read import joined

ORDER = [*COSTS_CSV.row_keys, *IDENTITY[2:-1]]  # of the rows; seeds as they come
_START = "initial"  # the stage whose files lie by the names of a start, not by group
WALL, MEMORY = "s", "max_rss"  # columns of a benchmark: seconds, MiB


def make_costs(
    *,
    study: str,
    scale: str,
    timings: Sequence[Path],
    outputs: Mapping[str, Sequence[Path]],
    benchmarks: Path,
    out: Path,
) -> None:
    """Write costs.csv, one row per long job.

    timings: timing.csv of each run, a row per round: seconds of training and aggregation, evaluation_seconds,
    and peak_memory_mib (MiB, the highest so far: of the GPU, or of the process on a CPU).
    outputs: by stage, one of each other long job.
    benchmarks: folder of Snakemake's benchmark files; a job that has none (made before they were kept) has
    empty cells.
    out: identity; stage, name, group, part; `run_costs` of a run; job_seconds and job_peak_memory_mib of the
    job's process, the last one if it was started several times.
    Raises FedscapeError if a file is not whole or lacks a column.
    """
    runs = run_costs(joined(timings, "timing")).to_dict("records")
    rows = [
        {**run, "stage": "train", **_benchmark(benchmarks / "train" / f"{_run_name(run)}.tsv")}
        for run in runs
    ]
    everywhere = {**dict.fromkeys(IDENTITY, "*"), "study": study, "scale": scale}
    for stage, paths in outputs.items():
        rows_of = _start_rows if stage == _START else _group_rows
        for path in paths:
            rows += [everywhere | row for row in rows_of(path, stage, benchmarks)]
    write_csv(out, pd.DataFrame(rows, columns=COSTS_CSV.columns), sort_by=ORDER)


def run_costs(timing: pd.DataFrame) -> pd.DataFrame:
    """What each run cost, from its rounds: one row per run.

    rounds; seconds (training and evaluation, all rounds); evaluation_seconds (of those); median_round_seconds
    (training and evaluation of one round); peak_memory_mib; median_training_seconds. All but the first are
    NaN for a run that was imported.
    """
    rows = [_cost(run) for _, run in timing.groupby(IDENTITY)] if len(timing) else []
    return pd.DataFrame(rows, columns=[*IDENTITY, *COST])


def _cost(run: pd.DataFrame) -> dict:
    seconds = run["training_seconds"] + run["evaluation_seconds"]
    trained = run["round"] > 0  # round 0 is the start: nothing is trained
    return {
        **run.iloc[-1][IDENTITY],
        "rounds": run["round"].max(),
        "seconds": seconds.sum(min_count=1),
        "evaluation_seconds": run["evaluation_seconds"].sum(min_count=1),
        "median_round_seconds": seconds[trained].median(),
        "peak_memory_mib": run["peak_memory_mib"].max(),
        "median_training_seconds": run["training_seconds"][trained].median(),
    }


def _run_name(run: Mapping) -> str:
    *names, seed = (run[column] for column in IDENTITY[2:])
    return "_".join([*names, f"seed{seed}"])


def _start_rows(path: Path, stage: str, benchmarks: Path) -> list[dict]:
    """The row of a start, initial/{dataset}/{model}/{init}/seed{seed}.safetensors."""
    dataset, model, init, seed = *path.parts[-4:-1], path.stem
    names = {"dataset": dataset, "model": model, "init": init, "seed": seed.removeprefix("seed")}
    benchmark = benchmarks / stage / f"{dataset}_{model}_{init}_{seed}.tsv"
    return [{**names, "stage": stage, **_benchmark(benchmark)}]


def _group_rows(path: Path, stage: str, benchmarks: Path) -> list[dict]:
    """The row of the job that made a file of a group; where parts of it were jobs, a row for each as well."""
    name, group = path.parts[-3:-1]
    names = {"dataset": group.partition("_")[0], "name": name, "group": group}
    seed = group.rpartition("_seed")[2]
    if seed.isdigit() and f"_seed{seed}" in group:
        names["seed"] = seed
    rows = [{**names, "stage": stage, **_benchmark(benchmarks / stage / f"{name}_{group}.tsv")}]
    of_parts = f"{stage}_part"
    for benchmark in sorted((benchmarks / of_parts).glob(f"{name}_{group}_*-of-*.tsv")):
        part = benchmark.stem.removeprefix(f"{name}_{group}_")
        rows.append({**names, "stage": of_parts, "part": part, **_benchmark(benchmark)})
    return rows


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
