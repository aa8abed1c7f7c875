"""The runs of a study as a page of Markdown: what a reader wants first, the paper's numbers beside ours."""

from collections.abc import Sequence

import pandas as pd

from fedscape.tables.columns import IDENTITY
from fedscape.tables.markdown import markdown_table

SHOWN = {
    "rounds": "rounds",
    "train_loss": "train loss",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "best_test_accuracy": "best test accuracy",
    "best_round": "in round",
}
DIVERGED = "diverged"


def summary_text(runs: pd.DataFrame, published: Sequence[dict]) -> str:
    """Markdown text.

    runs: one row per run, as `collect.run_rows` gives them. published: as `collect.make_tables` takes them.
    Names that all runs share stand in one line above the table; a diverged run has the word in place of its
    numbers, which are those of its last finite round and compare with nothing.
    """
    shared = [name for name in IDENTITY if runs[name].nunique() == 1]
    parts = [
        "# Runs",
        ", ".join(f"{name} {runs[name].iloc[0]}" for name in shared),
        _runs_table(runs, shared),
    ]
    if (runs["chosen_on"] == "test_accuracy").any():
        parts.append("Without a validation split, the best round is chosen on the test set itself.")
    if published:
        parts += ["## Beside the paper's numbers", _published_table(runs, published)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _runs_table(runs: pd.DataFrame, shared: list[str]) -> str:
    # A study of one run shares all its names; the table needs one to begin its line.
    names = [name for name in IDENTITY if name not in shared] or ["partition"]
    lines = []
    for row in runs.to_dict("records"):
        numbers = [
            DIVERGED if row["diverged"] and name != "rounds" else _number(row[name], name) for name in SHOWN
        ]
        lines.append([*(str(row[name]) for name in names), *numbers])
    return markdown_table([*names, *SHOWN.values()], lines, texts=len(names))


def _published_table(runs: pd.DataFrame, published: Sequence[dict]) -> str:
    lines = []
    for entry in published:
        chosen = runs[[_matches(row, entry["where"]) for row in runs.to_dict("records")]]
        where = ", ".join(
            f"{key} {'/'.join(map(str, _listed(value)))}" for key, value in entry["where"].items()
        )
        measure = entry["measure"]
        lines.append(
            [where, measure, entry["source"], _number(entry["value"], measure), _ours(chosen, measure)]
        )
    return markdown_table(["runs", "measure", "source", "published", "ours"], lines, texts=3)


def _ours(runs: pd.DataFrame, measure: str) -> str:
    """Mean over the runs that did not diverge, with what was left out said."""
    if runs.empty:
        return "no run"
    values = runs.loc[~runs["diverged"].astype(bool), measure].dropna()
    diverged = int(runs["diverged"].sum())
    if diverged == len(runs):
        return DIVERGED
    if values.empty:
        return "not measured"
    note = [f"mean of {len(values)}"] if len(values) > 1 else []
    note += [f"{diverged} {DIVERGED}"] if diverged else []
    return _number(values.mean(), measure) + (f" ({', '.join(note)})" if note else "")


def _matches(row: dict, where: dict) -> bool:
    return all(str(row[key]) in map(str, _listed(value)) for key, value in where.items())


def _listed(value: object) -> Sequence:
    return value if isinstance(value, (list, tuple)) else [value]


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
