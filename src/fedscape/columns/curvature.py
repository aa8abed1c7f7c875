"""Columns of the curvature of the loss: eigenvalues, traces, agreement of Hessians, sharpness, densities."""

from fedscape.columns.column import File, Index, Number, Text, Whole
from fedscape.columns.identity import IDENTITY
from fedscape.columns.shared import Shared


class Curvature:
    """`curvature.csv`, `density.csv` (which has `eigenvalue` and `density` in place of the columns from
    `quantity` to `residual`)"""

    of: Text
    client: Whole
    """whose model: `global`, or `client` and its number; `mean`: of the models of the round's clients,
    weighed by their samples, before the server's step; `clients`: what compares them; -1: no client's. Of a
    `mean` on `own` samples the client is the one whose samples they are"""
    data: Text
    """the training samples that the loss is the mean over: `global`, all clients' together; `own`, the
    client's"""
    quantity: Text
    value: Number
    """`eigenvalue`, `trace` (sum of all), `layer-trace` (of the block of a layer), `H_N` and `H_D`
    (difference of the norms of clients' Hessian diagonals, cosine between them; means over pairs); of
    sharpness `worst`, `average`, `adaptive-worst`, `adaptive-average` (rises of the loss, in nats) and `rays`
    (how far away the loss has risen, in lengths of the filters)"""
    index: Index
    """of an eigenvalue: 1 is the largest, -1 the smallest; else 0"""
    layer: Text
    """of a `layer-trace`: the module"""
    definition: Text
    """of `H_N`, `H_D`: `paper` (an entry per parameter, squared norms) or `code` (a sum per tensor, norms,
    each client's pair with itself included)"""
    radius: Number
    """of a sharpness, how far it looks: radius of the ball in L2, standard deviation of each parameter's
    noise, both adaptive as shares of the parameters; of `rays` the rise of the loss that ends one, in nats;
    else empty"""
    estimator: Text
    """how it was found: `lanczos`, `exact` (from per-sample gradients), `hutchinson`, `hutch++`, `xtrace`;
    `ascent` (a lower bound), `gaussian`, `search`"""
    standard_error: Number
    """of an estimate; empty where nothing is random"""
    residual: Number
    """of an eigenvalue: relative error of its eigenpair; of a worst case: how far a further step of the
    radius's length would move its end, as a share of the radius"""
    products: Number
    """Hessian-vector products spent on it, and on all that was found together with it"""
    eigenvalue: Number
    density: Number
    """the density of the eigenvalues there, smoothed; its integral is 1"""


_NAMES = [*IDENTITY, "curvature", "group"]
_MODEL = ["round", "of", "client", "data"]
"""Which model of a run, and on which samples."""

CURVATURE_CSV = File(
    names=_NAMES,
    row_keys=[*_MODEL, "quantity", "index", "layer", "definition", "radius"],
    measures=["estimator", "value", "standard_error", "residual", "products", "batch_norm", "samples"],
    families=(Shared, Curvature),
    entry="curvature",
)
DENSITY_CSV = File(
    names=_NAMES,
    row_keys=[*_MODEL, "eigenvalue"],
    measures=["density", "products", "samples"],
    families=(Shared, Curvature),
    entry="curvature",
)
