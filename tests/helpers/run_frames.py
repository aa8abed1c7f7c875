"""Rows of tables/runs.csv and tables/rounds.csv, with the columns that measures and figures look at."""

import pandas as pd

from fedscape.columns.runs import QUALITY
from fedscape.tables.read import run_paths

NAMES = {
    "study": "s", "scale": "quick", "dataset": "digits", "model": "cnn", "partition": "iid", "init": "random",
    "method": "fedavg", "seed": 0,
}  # fmt: skip


def runs_frame(*rows, **shared):
    """A row per run: what differs from NAMES, accuracies and losses of 0.5 where none is given."""
    quality = dict.fromkeys([*QUALITY, "best_test_accuracy"], 0.5)
    frame = pd.DataFrame(
        [{**NAMES, **quality, "diverged": False, "grid": None, **shared, **row} for row in rows]
    )
    return frame.assign(run=run_paths(frame))


def rounds_frame(values, column="train_loss", **names):
    """A row per round, round 0 first."""
    rows = [{**NAMES, **names, "round": number, column: value} for number, value in enumerate(values)]
    frame = pd.DataFrame(rows)
    return frame.assign(run=run_paths(frame))
