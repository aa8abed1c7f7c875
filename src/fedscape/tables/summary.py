"""The runs of a study as a page of Markdown: what a reader wants first."""

import pandas as pd

from fedscape.columns.shared import DIVERGED, IDENTITY
from fedscape.tables.markdown import escaped, markdown_table

SHOWN = {
    "rounds": "rounds",
    "train_loss": "train loss",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "best_test_accuracy": "best test accuracy",
    "best_round": "in round",
}


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
    return "\n\n".join(part for part in parts if part) + "\n"


def _runs_table(runs: pd.DataFrame, shared: list[str]) -> str:
    # A study of one run shares all its names; the table needs one to begin its line.
    names = [name for name in IDENTITY if name not in shared] or ["partition"]
    names += ["grid"] if runs["grid"].notna().any() else []
    lines = []
    for row in runs.to_dict("records"):
        numbers = [
            DIVERGED if row["diverged"] and name != "rounds" else _number(row[name], name) for name in SHOWN
        ]
        lines.append([*("" if pd.isna(row[name]) else str(row[name]) for name in names), *numbers])
    return markdown_table([*names, *SHOWN.values()], lines, texts=len(names))


def _number(value: object, column: str) -> str:
    """Accuracies with four decimals, other fractions with four digits, whole numbers as they are."""
    if pd.isna(value):
        return ""
    return (
        f"{value:.4f}"
        if column.endswith("accuracy")
        else f"{value:.4g}"
        if isinstance(value, float)
        else str(value)
    )
