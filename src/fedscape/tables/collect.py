"""Tables of a whole study: the CSVs of its runs one below the other, and one row per run, also as a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fedscape.columns.csvs import write_csv
from fedscape.columns.identity import IDENTITY
from fedscape.columns.kinds import FILES
from fedscape.columns.runs import QUALITY
from fedscape.files import write_text
from fedscape.tables.cases import DIVERGED
from fedscape.tables.markdown import escaped, markdown_table
from fedscape.tables.read import joined

SUMMARY_COLUMNS = {
    "rounds": "rounds",
    "train_loss": "train loss",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "best_test_accuracy": "best test accuracy",
    "best_round": "in round",
}


def make_tables(
    *,
    csvs: Mapping[str, Sequence[Path]],
    grids: Mapping[str, str],
    out: Mapping[str, Path],
    out_summary: Path,
) -> None:
    """Write the tables of a study.

    csvs: of its runs and groups, by kind (`rounds`, `barriers`, ...); there may be none of a kind.
    grids: of each method that is a point of a grid its values, such as `lr=0.1`.
    out: for each kind the table of all its rows; `runs`: one row per run, columns as `run_rows` gives them.
    out_summary: these runs to read, in Markdown.
    Raises FedscapeError if a file is not whole or lacks a column.
    """
    tables = {kind: joined(paths, kind) for kind, paths in csvs.items()}
    for kind, table in tables.items():
        write_csv(out[kind], table, FILES[kind].order)
    runs = run_rows(tables["rounds"], grids)
    write_csv(out["runs"], runs, sort_by=IDENTITY)
    write_text(out_summary, summary_text(runs))


def run_rows(rounds: pd.DataFrame, grids: Mapping[str, str]) -> pd.DataFrame:
    """One row per run from one row per round.

    Columns: identity; rounds (the last one with a finite model); clients and samples (the most of a round:
    with partial participation not all there are); diverged; loss and accuracy of that last round on each
    split; best_test_accuracy, best_round (the first, if several) and chosen_on, the column that chose it:
    validation_accuracy where the run has a validation split, else test_accuracy, which flatters; grid: the
    values of a method that is a point of a grid.
    """
    rows = [_run_row(run) for _, run in rounds.sort_values("round").groupby(IDENTITY, sort=True)]
    runs = pd.DataFrame(rows, columns=FILES["runs"].columns).astype({"best_round": "Int64"})
    return runs.assign(grid=runs["method"].map(grids))


def summary_text(runs: pd.DataFrame) -> str:
    """Markdown text.

    runs: one row per run, as `collect.run_rows` gives them.
    Names that all runs share stand in one line above the table; a diverged run has the word in place of its
    numbers, which are those of its last finite round and compare with nothing.
    """
    shared = [name for name in IDENTITY if runs[name].nunique() == 1]
    parts = [
        "# Runs",
        escaped(", ".join(f"{name} {runs[name].iloc[0]}" for name in shared)),
        _runs_table(runs, shared),
    ]
    if (runs["chosen_on"] == "test_accuracy").any():
        parts.append("Without a validation split, the best round is chosen on the test set itself.")
    if is_imported(runs).any():
        parts.append("Runs without losses were imported: what happened while they trained is not known here.")
    return "\n\n".join(part for part in parts if part) + "\n"


def is_imported(runs: pd.DataFrame) -> pd.Series:
    """Whether each run was trained elsewhere: no round of it was evaluated, not even the start."""
    return runs["test_loss"].isna() & runs["clients"].isna()


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
            best = measured.iloc[int(measured[column].argmax())]
            best_values = {"best_test_accuracy": best["test_accuracy"], "best_round": best["round"]}
            return {**row, **best_values, "chosen_on": column}
    return row


def _runs_table(runs: pd.DataFrame, shared: list[str]) -> str:
    # A study of one run shares all its names; the table needs one to begin its line.
    names = [name for name in IDENTITY if name not in shared] or ["partition"]
    names += ["grid"] if runs["grid"].notna().any() else []
    lines = []
    for row in runs.to_dict("records"):
        numbers = [
            DIVERGED if row["diverged"] and name != "rounds" else _number(row[name], name)
            for name in SUMMARY_COLUMNS
        ]
        lines.append([*("" if pd.isna(row[name]) else str(row[name]) for name in names), *numbers])
    return markdown_table([*names, *SUMMARY_COLUMNS.values()], lines, texts=len(names))


def _number(value: float | str | None, column: str) -> str:
    """Accuracies with four decimals, other fractions with four digits, whole numbers as they are."""
    if pd.isna(value):
        return ""
    if column.endswith("accuracy"):
        return f"{value:.4f}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
