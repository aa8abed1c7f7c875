"""The columns that name a run."""

IDENTITY = ["study", "scale", "dataset", "model", "partition", "init", "method", "seed"]
NAMES = [column for column in IDENTITY if column != "seed"]  # what runs share that differ only in their seed
