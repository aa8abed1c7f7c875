"""What runs cost. The only reader of clocks: no other table or figure depends on a time."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fedscape.errors import FedscapeError
from fedscape.files import read_csv, write_csv
from fedscape.tables.columns import COST, IDENTITY

COLUMNS = ["seconds", "evaluation_seconds", "peak_memory_mb"]  # of timing.csv


def make_costs(*, timings: Sequence[Path], out: Path) -> None:
    """Write costs.csv, one row per run.

    timings: timing.csv of each run, a row per round: seconds of training and aggregation, evaluation_seconds,
    and peak_memory_mb (MiB, the highest so far: of the GPU, or of the process on a CPU).
    out: identity; rounds; seconds (training and evaluation, all rounds); evaluation_seconds (of those);
    median_round_seconds (training and evaluation of one round); peak_memory_mb; median_training_seconds.
    Raises FedscapeError if a file is not whole or lacks a column.
    """
    rows = []
    for path in timings:
        timing = read_csv(path)
        for column in (*IDENTITY, "round", *COLUMNS):
            if column not in timing:
                raise FedscapeError(f"{path}: column {column} is missing; delete the file to make it again")
        rows += [_cost(run) for _, run in timing.groupby(IDENTITY)]
    write_csv(out, pd.DataFrame(rows, columns=[*IDENTITY, *COST]), sort_by=IDENTITY)


def _cost(run: pd.DataFrame) -> dict:
    seconds = run["seconds"] + run["evaluation_seconds"]
    trained = run["round"] > 0  # round 0 is the start: nothing is trained
    return {
        **run.iloc[-1][IDENTITY],
        "rounds": run["round"].max(),
        "seconds": seconds.sum(),
        "evaluation_seconds": run["evaluation_seconds"].sum(),
        "median_round_seconds": seconds[trained].median(),
        "peak_memory_mb": run["peak_memory_mb"].max(),
        "median_training_seconds": run["seconds"][trained].median(),
    }
