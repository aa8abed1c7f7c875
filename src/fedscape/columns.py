"""Every column of every CSV: its type and unit, and which columns a kind of file has.

What the columns mean stands in `column_meanings.py`, so that no job depends on the wording. Stages that
compute import neither: a column that some other stage adds must not train anything again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedscape.files import FLAG, INDEX, NUMBER, SEED, TEXT, WHOLE

IDENTITY = ["study", "scale", "dataset", "model", "partition", "init", "method", "seed"]
TO_RUN = ["to_partition", "to_init", "to_method", "to_seed"]  # other end of a pair: same data set, same model
NAMES = [column for column in IDENTITY if column != "seed"]  # what runs share that differ only in their seed
SPLITS = ("train", "validation", "test")
QUALITY = [f"{split}_{measure}" for split in SPLITS for measure in ("loss", "accuracy")]
AGREEMENT = [
    "mean_update_norm", "gradient_diversity", "inverse_gradient_diversity", "mean_cosine", "minimum_cosine",
]  # fmt: skip
TIMING = ["training_seconds", "evaluation_seconds", "peak_memory_mib"]  # per round
COST = [
    "rounds", "seconds", "evaluation_seconds", "median_round_seconds", "peak_memory_mib",
    "median_training_seconds",
]  # fmt: skip
JOB = ["stage", "name", "group", "part"]
DIVERGED = "diverged"  # the word in place of the numbers of a run that diverged

# Which two models of a pair of runs, and whether the second one's units were matched to the first's.
_MODELS = ("between", "round", "to_round", "client", "to_client", "alignment")


@dataclass(frozen=True)
class Column:
    """How the cells of a column are read, and the unit of its numbers."""

    type: str  # TEXT, NUMBER, WHOLE, FLAG or SEED
    unit: str = ""


@dataclass(frozen=True)
class File:
    """The columns of a kind of CSV, in their order.

    keys: what tells its rows apart, and sorts them. measures: what they say. has_rows: whether it is never
    without a row; where a plane has no models or a study no such stage, other files have a header alone.
    """

    keys: Sequence[str]
    measures: Sequence[str]
    has_rows: bool = False

    @property
    def columns(self) -> list[str]:
        return [*self.keys, *self.measures]


def _columns() -> dict[str, Column]:
    groups = {
        Column(SEED): ["seed", "to_seed"],
        Column(TEXT): [
            *NAMES, *TO_RUN[:-1], *JOB, "plane", "connectivity", "curvature", "drift", "class_name", "grid",
            "chosen_on", "role", "batch_norm", "precision", "axes", "split", "measure", "between",
            "alignment", "regime", "layer", "rest", "of", "data", "quantity", "definition", "estimator",
            "claim", "source", "cases", "values", "expectation", "verdict", "table", "row", "column", "unit",
            "interval", "note", "contrast",
        ],
        Column(FLAG): ["diverged", "interpolated"],
        Column(WHOLE): [
            "round", "to_round", "rounds", "best_round", "client", "to_client", "clients", "samples", "class",
            "seeds", "diverged_seeds",
        ],
        Column(INDEX): ["i", "j", "depth", "averaged", "draw", "index", "number", "case"],
        Column(NUMBER): [
            "gradient_diversity", "inverse_gradient_diversity", "mean_cosine", "minimum_cosine", "point", "x",
            "y", "curvature_x", "curvature_y", "t", "argmax", "sup", "midpoint", "highest", "sup_se",
            "midpoint_se", "from_value", "to_value", "value", "barrier", "ratio", "parameters", "cosine",
            "cosine_from_start", "cosine_to_start", "units_moved", "standard_error", "residual", "products",
            "eigenvalue", "density", "mean", "half_width", "low", "high", "published", "interpolation_error",
            "bottom_x", "bottom_y",
        ],
        Column(NUMBER, "nats"): [
            *(f"{split}_loss" for split in SPLITS), "client_loss", "loss", "loss_se", "loss_rise_se",
            "loss_under_policy", "loss_at_projection", "own_loss", "own_loss_at_start", "bottom_loss",
        ],
        Column(NUMBER, "share"): [
            *(f"{split}_accuracy" for split in SPLITS), "best_test_accuracy", "error", "error_se",
            "error_rise_se", "error_at_projection", "explained_x", "explained_y",
        ],
        Column(NUMBER, "L2"): [
            "mean_update_norm", "distance_to_reference", "distance_to_reference_path",
            "distance_to_reference_end", "l2", "l2_from_start", "l2_to_start", "step_norm", "distance_start",
            "distance_end", "bottom_shift",
        ],
        Column(NUMBER, "s"): [
            "seconds", "training_seconds", "evaluation_seconds", "median_round_seconds",
            "median_training_seconds", "job_seconds",
        ],
        Column(NUMBER, "MiB"): ["peak_memory_mib", "job_peak_memory_mib"],
    }  # fmt: skip
    return {name: column for column, names in groups.items() for name in names}


COLUMNS: Mapping[str, Column] = _columns()

FILES: Mapping[str, File] = {
    "partitions": File([*IDENTITY, "client", "class"], ["class_name", "samples"], has_rows=True),
    "rounds": File(
        [*IDENTITY, "round"],
        ["clients", "samples", "client_loss", *QUALITY, "diverged", *AGREEMENT],
        has_rows=True,
    ),
    "timing": File([*IDENTITY, "round"], TIMING, has_rows=True),
    "runs": File(
        IDENTITY,
        [
            "rounds", "clients", "samples", "diverged", *QUALITY, "best_test_accuracy", "best_round",
            "chosen_on", "grid",
        ],
        has_rows=True,
    ),
    "markers": File(
        [*IDENTITY, "plane", "group", "round", "role", "client", "point"],
        [
            "x", "y", "residual", "loss", "loss_under_policy", "loss_at_projection", "error",
            "error_at_projection", "own_loss", "own_loss_at_start", "distance_to_reference",
            "distance_to_reference_path", "distance_to_reference_end", "explained_x", "explained_y",
            "curvature_x", "curvature_y", "bottom_x", "bottom_y", "bottom_loss", "bottom_shift", "axes",
            "batch_norm", "samples",
        ],
        has_rows=True,
    ),
    "surface": File(
        [*IDENTITY, "plane", "group", "client", "i", "j"],
        [
            "x", "y", "loss", "loss_se", "error", "error_se", "samples", "batch_norm", "precision",
            "interpolated", "interpolation_error", "axes",
        ],
    ),
    "path": File(
        [*IDENTITY, *TO_RUN, "connectivity", "group", "split", "t"],
        ["loss", "loss_se", "error", "error_se", "samples", "loss_rise_se", "error_rise_se", "batch_norm"],
    ),
    "barriers": File(
        [*IDENTITY, *TO_RUN, "connectivity", "group", "split", "measure"],
        ["sup", "argmax", "midpoint", "highest", "from_value", "to_value", "sup_se", "midpoint_se"],
    ),
    "layers": File(
        [
            *IDENTITY, *TO_RUN, "connectivity", "group", *_MODELS, "split", "measure", "regime", "layer",
            "depth", "averaged", "rest", "draw",
        ],
        ["value", "from_value", "to_value", "barrier", "ratio", "samples", "batch_norm"],
    ),
    "distances": File(
        [*IDENTITY, *TO_RUN, "connectivity", "group", *_MODELS, "layer", "depth"],
        [
            "parameters", "l2", "cosine", "l2_from_start", "cosine_from_start", "l2_to_start",
            "cosine_to_start", "units_moved",
        ],
    ),
    "curvature": File(
        [
            *IDENTITY, "curvature", "group", "round", "of", "client", "data", "quantity", "index", "layer",
            "definition",
        ],
        ["estimator", "value", "standard_error", "residual", "products", "samples"],
    ),
    "density": File(
        [*IDENTITY, "curvature", "group", "round", "of", "client", "data", "eigenvalue"],
        ["density", "products", "samples"],
    ),
    "drift": File(
        [*IDENTITY, "drift", "group", "round"], ["step_norm", "distance_start", "distance_end"]
    ),
    "claims": File(
        ["study", "scale", "number"],
        ["claim", "source", "measure", "cases", "values", "seeds", "expectation", "verdict", "note"],
    ),
    "contrasts": File(
        ["study", "scale", "number", "contrast"], ["mean", "low", "high", "interval", "seeds"]
    ),
    "claim-values": File(["study", "scale", "number", "case", "seed"], ["value", "standard_error", "note"]),
    "table": File(
        ["study", "scale", "table", "number"],
        [
            "row", "column", "measure", "unit", "mean", "half_width", "low", "high", "interval", "seeds",
            "diverged_seeds", "published", "source", "note",
        ],
    ),
    "costs": File([*IDENTITY, *JOB], [*COST, "job_seconds", "job_peak_memory_mib"]),
}  # fmt: skip
