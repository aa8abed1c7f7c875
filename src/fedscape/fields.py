"""Types of settings that several plug-ins share: what a field of a `Settings` class may be."""

from typing import Literal

Choose = Literal["validation_accuracy", "validation_loss"] | None
"""What the best point of a method's grid is best in; null: all points count."""
Curvature = Literal["eigenvalue", "trace", "worst", "average", "adaptive-worst", "adaptive-average", "rays"]
"""What says how sharp the loss is at a model."""
CurvatureData = Literal["global", "own"]
"""Training samples of a Hessian: all clients' together, or each client's own."""
CurvatureModel = Literal["global", "clients", "mean"]
"""Whose curvature: of a round's global model, of its clients' models, or of the mean of these."""
LayerOrder = Literal["single", "direction", "shallow", "deep", "random", "middle-out", "outside-in"]
"""Layers one by one, moved at random instead of averaged, or added up in an order."""
LossOrError = Literal["loss", "error"]
"""Mean cross-entropy, or the share of wrong answers."""
MeasuredRound = Literal["last", "first"]
"""Of the rounds at which a curvature is measured."""
Result = Literal[
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
    "best_test_accuracy",
]
"""A column of `tables/runs.csv`: what a run comes to."""
ResultRounds = Literal["last", "last-fifth"]
"""The rounds whose mean a result is."""
RunKey = Literal["dataset", "model", "partition", "init", "method"]
"""A name that a run has, beside its seed."""
Circumstance = Literal["dataset", "model", "partition", "init"]
"""A name that a run has beside its method."""
Split = Literal["train", "test"]
"""Samples that are evaluated: all clients' training samples, or the test samples."""
