"""Tables of a whole study: the CSVs of its runs one below the other, and one row per run."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns.csvs import write_csv
from fedscape.columns.kinds import FILES
from fedscape.columns.runs import QUALITY
from fedscape.columns.shared import IDENTITY
from fedscape.files import write_text
from fedscape.tables.read import joined
from fedscape.tables.summary import summary_text


def make_tables(
    *,
    rounds: Sequence[Path],
    barriers: Sequence[Path],
    layers: Sequence[Path],
    distances: Sequence[Path],
    curvatures: Sequence[Path],
    drifts: Sequence[Path],
    grids: Sequence[Sequence[str]],
    runs_csv: Path,
    rounds_csv: Path,
    barriers_csv: Path,
    layers_csv: Path,
    distances_csv: Path,
    curvature_csv: Path,
    drift_csv: Path,
    summary: Path,
) -> None:
    """Write the tables of a study.

    rounds, barriers, ...: CSVs of its runs and groups; a list may be empty.
    grids: pairs of a method that is a point of a grid and its values, such as `lr=0.1`.
    runs_csv: one row per run, columns as `run_rows` gives them. summary: the same to read, in Markdown. The
    other tables: all rows of their kind.
    Raises FedscapeError if a file is not whole or lacks a column.
    """
    files = {
        "rounds": rounds, "barriers": barriers, "layers": layers, "distances": distances,
        "curvature": curvatures, "drift": drifts,
    }  # fmt: skip
    tables = {name: joined(paths, name) for name, paths in files.items()}
    outputs = {
        "rounds": rounds_csv, "barriers": barriers_csv, "layers": layers_csv, "distances": distances_csv,
        "curvature": curvature_csv, "drift": drift_csv,
    }  # fmt: skip
    for name, table in tables.items():
        write_csv(outputs[name], table, FILES[name].order)
    runs = run_rows(tables["rounds"], grids)
    write_csv(runs_csv, runs, sort_by=IDENTITY)
    write_text(summary, summary_text(runs))


def run_rows(rounds: pd.DataFrame, grids: Sequence[Sequence[str]] = ()) -> pd.DataFrame:
    """One row per run from one row per round.

    Columns: identity; rounds (the last one with a finite model); clients and samples (the most of a round:
    with partial participation not all there are); diverged; loss and accuracy of that last round on each
    split; best_test_accuracy, best_round (the first, if several) and chosen_on, the column that chose it:
    validation_accuracy where the run has a validation split, else test_accuracy, which flatters; grid: the
    values of a method that is a point of a grid.
    """
    rows = [_run_row(run) for _, run in rounds.sort_values("round").groupby(IDENTITY, sort=True)]
    runs = pd.DataFrame(rows, columns=FILES["runs"].columns).astype({"best_round": "Int64"})
    return runs.assign(grid=runs["method"].map(dict(grids)))


def _run_row(run: pd.DataFrame) -> dict:
    # A run that diverged ends with a row that says so and measures nothing.
    diverged = run["diverged"].astype("string").str.lower() == "true"
    last = run[~diverged].iloc[-1]
    row = {
        **last[IDENTITY],
        "rounds": last["round"],
        "clients": run["clients"].max(),
        "samples": run["samples"].max(),
        "diverged": bool(diverged.any()),
        **last[QUALITY],
    }
    for column in ("validation_accuracy", "test_accuracy"):
        measured = run.dropna(subset=["test_accuracy", column])
        if len(measured):
            best = measured.loc[measured[column].idxmax()]
            chosen = {"best_test_accuracy": best["test_accuracy"], "best_round": best["round"]}
            return {**row, **chosen, "chosen_on": column}
    return row
