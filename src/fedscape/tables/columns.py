"""Columns of the study's tables: what identifies a row, and what it measures."""

import pandas as pd

IDENTITY = ["study", "scale", "dataset", "model", "partition", "init", "method", "seed"]
TO_RUN = ["to_partition", "to_init", "to_method", "to_seed"]  # other end of a pair: same data set, same model
NAMES = [column for column in IDENTITY if column != "seed"]  # what runs share that differ only in their seed
SPLITS = ("train", "validation", "test")
QUALITY = [f"{split}_{measure}" for split in SPLITS for measure in ("loss", "accuracy")]
AGREEMENT = [
    "mean_update_norm", "gradient_diversity", "inverse_gradient_diversity", "mean_cosine", "minimum_cosine",
]  # fmt: skip
TIMING = ["seconds", "evaluation_seconds", "peak_memory_mb"]  # per round
COST = [
    "rounds", "seconds", "evaluation_seconds", "median_round_seconds", "peak_memory_mb",
    "median_training_seconds",
]  # fmt: skip
DIVERGED = "diverged"  # the word in place of the numbers of a run that diverged

# Which two models of a pair of runs, and whether the second one's units were matched to the first's.
_MODELS = ("between", "round", "to_round", "client", "to_client", "alignment")

# Columns and sort keys of each table. A stage that measures more adds columns on the right; where a study has
# no such stage, the table has this header and no rows.
KEYS = {
    "rounds": [*IDENTITY, "round"],
    "barriers": [*IDENTITY, *TO_RUN, "connectivity", "group", "split", "measure"],
    "layers": [
        *IDENTITY, *TO_RUN, "connectivity", "group", *_MODELS, "split", "measure", "regime", "layer",
        "place", "averaged", "rest", "draw",
    ],
    "distances": [*IDENTITY, *TO_RUN, "connectivity", "group", *_MODELS, "layer", "place"],
    "curvature": [
        *IDENTITY, "curvature", "group", "round", "of", "client", "data", "quantity", "index", "layer",
        "definition",
    ],
    "drift": [*IDENTITY, "drift", "group", "round"],
}  # fmt: skip
MEASURES = {
    "rounds": ["clients", "samples", "client_loss", *QUALITY, "diverged", *AGREEMENT],
    "barriers": ["sup", "argmax", "midpoint", "from_value", "to_value"],
    "layers": ["value", "from_value", "to_value", "barrier", "ratio", "samples", "batch_norm"],
    "distances": [
        "parameters", "l2", "cosine", "l2_from_start", "cosine_from_start", "l2_to_start", "cosine_to_start",
        "units_moved",
    ],
    "curvature": ["estimator", "value", "standard_error", "residual", "products", "samples"],
    "drift": ["step_norm", "distance_start", "distance_end"],
}  # fmt: skip


def run_paths(frame: pd.DataFrame, prefix: str = "") -> pd.Series:
    """The run of each row, spelled as its folder: `digits/convnet/iid/random/fedavg/seed0`.

    frame: columns of IDENTITY. prefix: `to_` for the other end of a pair, which shares data set and model.
    """
    names = [f"{prefix}{name}" for name in ("partition", "init", "method")]
    first, *others = (frame[name].astype(str) for name in ("dataset", "model", *names))
    return first.str.cat([*others, "seed" + frame[f"{prefix}seed"].astype(str)], sep="/")
