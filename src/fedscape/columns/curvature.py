"""Columns of the curvature of the loss: eigenvalues, traces, agreement of Hessians, densities."""

from fedscape.columns.column import File, Index, Number, Text, Whole
from fedscape.columns.identity import IDENTITY
from fedscape.columns.shared import Shared


class Curvature:
    """`curvature.csv`, `density.csv` (which has `eigenvalue` and `density` in place of the columns from
    `quantity` to `residual`)"""

    of: Text
    client: Whole
    """whose model: `global`, or `client` and its number; `clients`: what compares them; -1: no client's"""
    data: Text
    """the training samples that the loss is the mean over: `global`, all clients' together; `own`, the
    client's"""
    quantity: Text
    value: Number
    """`eigenvalue`, `trace` (sum of all), `layer-trace` (of the block of a layer), `H_N` and `H_D`
    (difference of the norms of clients' Hessian diagonals, cosine between them; means over pairs)"""
    index: Index
    """of an eigenvalue: 1 is the largest, -1 the smallest; else 0"""
    layer: Text
    """of a `layer-trace`: the module"""
    definition: Text
    """of `H_N`, `H_D`: `paper` (an entry per parameter, squared norms) or `code` (a sum per tensor, norms,
    each client's pair with itself included)"""
    estimator: Text
    """how it was found: `lanczos`, `exact` (from per-sample gradients), `hutchinson`, `hutch++`, `xtrace`"""
    standard_error: Number
    """of an estimate; empty where nothing is random"""
    residual: Number
    """of an eigenvalue: relative error of its eigenpair"""
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
    row_keys=[*_MODEL, "quantity", "index", "layer", "definition"],
    measures=["estimator", "value", "standard_error", "residual", "products", "samples"],
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
