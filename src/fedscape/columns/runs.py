"""Columns of what is said of runs: partitions, rounds, the clock, and their summary."""

from fedscape.columns.column import (
    L2,
    File,
    MiB,
    Nats,
    Number,
    Seconds,
    Share,
    Text,
    Whole,
)
from fedscape.columns.identity import IDENTITY
from fedscape.columns.shared import Shared


class PartitionCounts:
    """A partition's CSV"""

    class_: Whole
    class_name: Text
    """number of a class, from 0, and its name; a row per client and class, zeros included. Where these would
    be more than a million rows (clients of text with a large vocabulary): -1 and `*`, all classes together"""


class Rounds:
    """`rounds.csv`, `runs.csv`"""

    train_loss: Nats
    train_accuracy: Share
    """global model on the data of all clients, without augmentation: mean cross-entropy in nats, share
    classified rightly"""
    validation_loss: Nats
    validation_accuracy: Share
    test_loss: Nats
    test_accuracy: Share
    """the same on held-out samples"""
    client_loss: Nats
    """mean loss of the clients' own steps in the round, each measured before its step"""
    mean_update_norm: L2
    mean_cosine: Number
    minimum_cosine: Number
    """updates of the round's clients (model after it minus global model before it, unweighted): mean L2 norm,
    cosines over pairs; the smallest is empty where all updates together take more than 1 GiB"""
    gradient_diversity: Number
    inverse_gradient_diversity: Number
    """sum of squared update norms over the squared norm of their sum: 1/n if equal, 1 if orthogonal; and one
    over it"""
    rounds: Whole
    """the last round with a finite model, whose losses and accuracies `runs.csv` has"""
    grid: Text
    """of a method that is a point of a grid: the values that stand for it, such as `lr=0.1;server.lr=0.01`.
    All points are there; what reports one of them chose it by its mean over seeds on held-out samples"""
    best_test_accuracy: Share
    best_round: Whole
    chosen_on: Text
    """test accuracy in the best round, that round, and the column that chose it: `validation_accuracy`, or
    without a validation split `test_accuracy`, which flatters"""


class Costs:
    """`timing.csv`, `costs.csv`"""

    stage: Text
    name: Text
    group: Text
    part: Text
    """of a row of `costs.csv`: which rule's job, and which one; a surface that was split has a row per part
    """
    training_seconds: Seconds
    evaluation_seconds: Seconds
    """training and aggregation; evaluation"""
    seconds: Seconds
    """of a run: both, over every process that worked on it"""
    median_round_seconds: Seconds
    median_training_seconds: Seconds
    """of one round, without round 0: training and evaluation; without evaluation"""
    job_seconds: Seconds
    job_peak_memory_mib: MiB
    """of the job's process from start to end, imports included, as Snakemake measured it: the last process,
    if a job was stopped and carried on; empty if it was made before this was kept"""
    peak_memory_mib: MiB
    """most memory so far, MiB: of the GPU, or of the process on a CPU"""


QUALITY = [
    f"{split}_{measure}" for split in ("train", "validation", "test") for measure in ("loss", "accuracy")
]
"""What is measured of a global model."""
COST = [
    "rounds", "seconds", "evaluation_seconds", "median_round_seconds", "peak_memory_mib",
    "median_training_seconds",
]  # fmt: skip
"""What is said of the cost of a run, from its timing.csv."""

PARTITIONS_CSV = File(
    names=IDENTITY,
    row_keys=["client", "class"],
    measures=["class_name", "samples"],
    families=(Shared, PartitionCounts),
    has_rows=True,
)
ROUNDS_CSV = File(
    names=IDENTITY,
    row_keys=["round"],
    measures=[
        "clients", "samples", "client_loss", *QUALITY, "diverged", "mean_update_norm", "gradient_diversity",
        "inverse_gradient_diversity", "mean_cosine", "minimum_cosine",
    ],
    families=(Shared, Rounds),
    has_rows=True,
)  # fmt: skip
TIMING_CSV = File(
    names=IDENTITY,
    row_keys=["round"],
    measures=["training_seconds", "evaluation_seconds", "peak_memory_mib"],
    families=(Shared, Costs),
    has_rows=True,
)
RUNS_CSV = File(
    names=IDENTITY,
    row_keys=[],
    measures=[
        "rounds", "clients", "samples", "diverged", *QUALITY, "best_test_accuracy", "best_round", "chosen_on",
        "grid",
    ],
    families=(Shared, Rounds),
    has_rows=True,
)  # fmt: skip
COSTS_CSV = File(
    names=IDENTITY,
    row_keys=["stage", "name", "group", "part"],
    measures=[*COST, "job_seconds", "job_peak_memory_mib"],
    families=(Shared, Rounds, Costs),
)
