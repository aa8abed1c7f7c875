"""Columns of the study's tables: what identifies a row, and what it measures."""

import pandas as pd

IDENTITY = ["study", "scale", "dataset", "model", "partition", "init", "method", "seed"]
NAMES = [column for column in IDENTITY if column != "seed"]  # what runs share that differ only in their seed
SPLITS = ("train", "validation", "test")
QUALITY = [f"{split}_{measure}" for split in SPLITS for measure in ("loss", "accuracy")]
COST = [
    "rounds", "seconds", "evaluation_seconds", "median_round_seconds", "peak_memory_mb",
    "median_training_seconds",
]  # fmt: skip
DIVERGED = "diverged"  # the word in place of the numbers of a run that diverged

# Columns and sort keys of each table. A stage that measures more adds columns on the right; where a study has
# no such stage, the table has this header and no rows.
KEYS = {
    "rounds": [*IDENTITY, "round"],
    "barriers": [
        *IDENTITY, "to_partition", "to_init", "to_method", "to_seed", "connectivity", "group", "split",
        "measure",
    ],
    "hessian": [*IDENTITY, "curvature", "group", "round", "index"],
    "drift": [*IDENTITY, "drift", "group", "round"],
}  # fmt: skip
MEASURES = {
    "rounds": ["clients", "samples", "client_loss", *QUALITY, "diverged"],
    "barriers": ["sup", "argmax", "midpoint", "from_value", "to_value"],
    "hessian": ["eigenvalue", "residual", "products", "samples"],
    "drift": [
        "step_norm", "distance_start", "distance_end", "clients", "mean_update_norm", "gradient_diversity",
        "mean_cosine", "minimum_cosine",
    ],
}  # fmt: skip


def run_paths(frame: pd.DataFrame, prefix: str = "") -> pd.Series:
    """The run of each row, spelled as its folder: `digits/convnet/iid/random/fedavg/seed0`.

    frame: columns of IDENTITY. prefix: `to_` for the other end of a pair, which shares data set and model.
    """
    names = [f"{prefix}{name}" for name in ("partition", "init", "method")]
    first, *others = (frame[name].astype(str) for name in ("dataset", "model", *names))
    return first.str.cat([*others, "seed" + frame[f"{prefix}seed"].astype(str)], sep="/")
