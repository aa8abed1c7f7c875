"""What entries of a study's section `connectivity` measure, by their kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fedscape.settings.evaluation import BatchNorm

Between = Literal["runs", "clients", "rounds"]
Regime = Literal["full", "single", "shallow", "deep", "random", "middle-out", "outside-in"]
Form = Literal["bezier", "chain"]
Alignment = Literal["none", "repair", "weights", "weights-repair"]


@dataclass(frozen=True)
class PathSettings:
    """Loss and error on straight lines between final models."""

    points: int = 21  # on each line, ends included; odd, so that the middle is one
    batch_norm: BatchNorm = "recalibrate"


@dataclass(frozen=True)
class LayersSettings:
    """Barriers of two models that are averaged in some of their layers."""

    between: Between = "runs"  # whose models the two are
    regimes: Sequence[Regime] = ("full", "single", "shallow", "deep")  # which layers are averaged
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)  # modules that count as one layer
    order_seed: int = 0  # of the random order, and of random directions
    directions: int = 0  # random ones in which each layer alone is moved, as far as averaging moves it
    alignment: Sequence[Alignment] = ("none",)
    batch_norm: BatchNorm = "recalibrate"


@dataclass(frozen=True)
class CurveSettings:
    """A curve with one bend between two models, trained until the loss along it is low."""

    between: Between = "runs"  # whose models the two are
    form: Form = "bezier"  # a quadratic Bezier curve, or a chain of two straight segments
    epochs: int = 50  # passes over the training samples
    batch_size: int = 128
    lr: float = 0.03  # constant for half of the steps, then falling to a hundredth
    momentum: float = 0.9
    weight_decay: float = 0.0  # times half the squared norm of the model at the batch's point
    points: int = 61  # models on the curve that are evaluated, ends included; odd, so that the middle is one
    order_seed: int = 0  # of the order of the samples, and of each batch's point on the curve
