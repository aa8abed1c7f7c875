"""Columns of connections between two models: lines, curves, mixtures of their layers, distances."""

from collections.abc import Mapping
from typing import Final

from fedscape.columns.column import L2, File, Index, Nats, Number, Seed, Share, Text, Whole
from fedscape.columns.identity import IDENTITY
from fedscape.columns.shared import Shared

OTHER_END = ["partition", "init", "method", "seed"]
"""What the two runs of a pair may differ in; data set and model are the same."""
TO_RUN = [f"to_{column}" for column in OTHER_END]
"""The columns that name the second run of a pair."""
RESTS: Final = ("from", "to")
"""Which of the two models the layers are of that are not averaged; `both` where all are."""


def other_end(run: Mapping[str, object]) -> dict[str, object]:
    """The columns that name the second run of a pair, from its identity."""
    return {f"to_{column}": run[column] for column in OTHER_END}


class Lines:
    """`path.csv`, `barriers.csv`"""

    to_partition: Text
    to_init: Text
    to_method: Text
    to_seed: Seed
    """the run at the other end; data set and model are the same"""
    t: Number
    """position on the line between the two last models: 0 is the run itself, 1 the run named by `to_*`"""
    measure: Text
    """what the barrier is of: `loss` or `error`"""
    sup: Number
    argmax: Number
    midpoint: Number
    """barrier: highest point of the curve above the straight line between its ends, where that is, and the
    height in the middle"""
    highest: Number
    """the largest value on the line, its ends included"""
    sup_se: Number
    midpoint_se: Number
    loss_rise_se: Nats
    error_rise_se: Share
    """standard errors over the samples of `sup`, `midpoint`, and of a point's rise above the straight line:
    of training samples as estimates for all that the clients have (0 where all were evaluated), of test
    samples for images that nobody has seen"""
    from_value: Number
    to_value: Number
    """the measure at `t` = 0 and 1; of a mixture: of the two models themselves"""


class Pairs:
    """Which two models of a pair of runs are joined, in `layers.csv`, `distances.csv`, `curve.csv`,
    `curve-barriers.csv` and `bends.csv`, beside the `to_*` columns above"""

    between: Text
    """what the two models are: of two `runs`, of two `clients` of a round, or of two `rounds` of a run"""
    round: Whole
    to_round: Whole
    """of the first and of the second model"""
    client: Whole
    to_client: Whole
    """whose models they are; -1: the global one"""


class Layers:
    """`layers.csv`: models that are the mean of two models in some layers, and one of the two in the others;
    a row per mixture, split and measure. `distances.csv`: a row per layer and one for all weights"""

    alignment: Text
    """`none`: as they are; `weights`: the units of the second model matched to the first's by their weights;
    `repair`, `weights-repair`: with the statistics of the average's activations repaired"""
    regime: Text
    """which layers are averaged: `full` (all), `single` (one), `shallow`, `deep`, `random`, `middle-out`,
    `outside-in` (one more after the other, in this order); `direction`: none, but one layer is moved in a
    random direction, as far as averaging moves it"""
    layer: Text
    depth: Index
    """name and depth (0: the shallowest) of the single layer, or of the one added last; empty and -1 for all
    """
    averaged: Index
    """how many layers are averaged"""
    rest: Text
    """which model the other layers are of: `from` (the first) or `to` (the second), of which there are none
    at the end of an order; `both` for `full`"""
    draw: Index
    """number of the random direction; 0 for other regimes"""
    value: Number
    """the measure of the mixture"""
    barrier: Number
    ratio: Number
    """`value` minus the mean of `from_value` and `to_value`, above 0 where the mixture is worse; the same
    over that mean"""
    parameters: Number
    """how many numbers the layer has"""
    l2: L2
    cosine: Number
    """between the weights of the two models: L2 distance; cosine of the angle, 1 for the same direction"""
    l2_from_start: L2
    cosine_from_start: Number
    l2_to_start: L2
    cosine_to_start: Number
    """the same between each model and the start of its run; empty for a second model whose units were matched
    """
    units_moved: Number
    """how many units the matching moved"""


class Curves:
    """`curve.csv`: models on the straight line between two models and on a curve that was trained to avoid
    what lies on it; `curve-barriers.csv`: a row per line, split and measure, as in `barriers.csv`;
    `bends.csv`: a row per curve, of which `bends.npy` has the bend itself"""

    form: Text
    """of the curve: `bezier` (quadratic) or `chain` (two straight segments)"""
    line: Text
    """`straight`, or `curve`: the trained one, if it is kept"""
    bend: Index
    """row of `bends.npy` that holds the bend's weights: float32, in the order of the network's parameters"""
    kept: Text
    """`trained`, or `straight`: training did not lower the barrier of the train loss, nor, where that stayed
    the same, the mean train loss, so the straight line is taken for the curve"""
    straight_length: L2
    length: L2
    """of the straight line, and of the curve"""
    bend_distance: L2
    """of the curve's bend from the straight line; a Bezier curve goes half as far at its middle"""
    straight_sup: Nats
    trained_sup: Nats
    """barrier of the train loss: of the straight line, and of the trained curve, be it kept or not"""
    straight_loss: Nats
    trained_loss: Nats
    """their mean train loss over the points"""
    steps: Whole
    """batches that the bend was trained on"""


_NAMES = [*IDENTITY, *TO_RUN, "connectivity", "group"]
_PAIR = ["between", "round", "to_round", "client", "to_client"]
MODELS = [*_PAIR, "alignment"]
"""Which two models of a pair of runs, and whether the second one's units were matched to the first's."""

PATH_CSV = File(
    names=_NAMES,
    row_keys=["split", "t"],
    measures=[
        "loss", "loss_se", "error", "error_se", "samples", "loss_rise_se", "error_rise_se", "batch_norm",
    ],
    families=(Shared, Lines),
    entry="connectivity",
)  # fmt: skip
BARRIERS_CSV = File(
    names=_NAMES,
    row_keys=["split", "measure"],
    measures=["sup", "argmax", "midpoint", "highest", "from_value", "to_value", "sup_se", "midpoint_se"],
    families=(Shared, Lines),
    entry="connectivity",
)
LAYERS_CSV = File(
    names=_NAMES,
    row_keys=[*MODELS, "split", "measure", "regime", "layer", "depth", "averaged", "rest", "draw"],
    measures=["value", "from_value", "to_value", "barrier", "ratio", "samples", "batch_norm"],
    families=(Shared, Lines, Pairs, Layers),
    entry="connectivity",
)
DISTANCES_CSV = File(
    names=_NAMES,
    row_keys=[*MODELS, "layer", "depth"],
    measures=[
        "parameters", "l2", "cosine", "l2_from_start", "cosine_from_start", "l2_to_start", "cosine_to_start",
        "units_moved",
    ],
    families=(Shared, Lines, Pairs, Layers),
    entry="connectivity",
)  # fmt: skip
CURVE_CSV = File(
    names=_NAMES,
    row_keys=[*_PAIR, "form", "line", "split", "t"],
    measures=PATH_CSV.measures,
    families=(Shared, Lines, Pairs, Curves),
    entry="connectivity",
)
CURVE_BARRIERS_CSV = File(
    names=_NAMES,
    row_keys=[*_PAIR, "form", "line", "split", "measure"],
    measures=BARRIERS_CSV.measures,
    families=(Shared, Lines, Pairs, Curves),
    entry="connectivity",
)
BENDS_CSV = File(
    names=_NAMES,
    row_keys=[*_PAIR, "form", "bend"],
    measures=[
        "kept", "straight_length", "length", "bend_distance", "straight_sup", "trained_sup", "straight_loss",
        "trained_loss", "steps",
    ],
    families=(Shared, Lines, Pairs, Curves),
    entry="connectivity",
)  # fmt: skip
