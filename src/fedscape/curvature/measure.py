"""The curvature of the loss at one model: the rows of curvature.csv and density.csv about it."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse.linalg import ArpackError
from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.curvature.density import quadrature, smoothed
from fedscape.curvature.traces import ESTIMATORS, TraceEstimate, hutchinson_parts
from fedscape.evaluation.eigenvalues import HessianProduct, bottom_eigenpairs, top_eigenpairs
from fedscape.evaluation.evaluate import EvaluationSet
from fedscape.evaluation.problem import Problem

EIGENVALUE, TRACE, LAYER_TRACE, LANCZOS, EXACT = "eigenvalue", "trace", "layer-trace", "lanczos", "exact"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Quantities:
    """What is measured of a model; a row each, or the points of a density."""

    top: int  # largest eigenvalues
    bottom: int  # smallest ones
    trace: str  # exact, an estimator, or none
    layers: bool  # the trace of each layer's block too
    probes: int  # products that an estimate of the trace takes
    density: Mapping[str, object] | None  # {steps, probes, width}


@dataclass(frozen=True)
class ModelOnSamples:
    """A model on the samples that its loss is the mean over; buffers on their device."""

    problem: Problem
    parameters: Tensor
    buffers: dict[str, Tensor]
    data: EvaluationSet

    @property
    def arguments(self) -> tuple:
        """What `HessianProduct` and `exact_diagonal` take."""
        problem = self.problem
        return problem.module, problem.layout, self.parameters, self.buffers, self.data


def model_rows(
    model: ModelOnSamples, quantities: Quantities, diagonal: Tensor | None, seed: int
) -> tuple[list, list]:
    """Rows of curvature.csv and of density.csv, without the names of the model.

    diagonal: the exact one [P], where the trace is to be exact. seed: of all random vectors. Where no
    eigenvalues are found the rows are empty and the log says why.
    """
    rows = []
    by_products = quantities.top or quantities.bottom or quantities.density or quantities.trace in ESTIMATORS
    product = HessianProduct(*model.arguments) if by_products else None
    if quantities.top:
        rows += _eigenvalues(
            model, product, partial(top_eigenpairs, top=quantities.top), quantities.top, 1, seed
        )
    if quantities.bottom:
        find = partial(bottom_eigenpairs, bottom=quantities.bottom)
        rows += _eigenvalues(model, product, find, quantities.bottom, -1, seed)
    if quantities.trace == EXACT:
        rows += _exact_traces(model, quantities, diagonal)
    elif quantities.trace != "none":
        rows += _estimated_traces(model, quantities, product, seed)
    points = _density(model, quantities.density, product, seed) if quantities.density else []
    return rows, points


def layer_sizes(layout: Layout) -> dict[str, int]:
    """How many parameters each layer has, in their order; a layer is a module with parameters."""
    sizes: dict[str, int] = {}
    for name, shape in layout.parameters:
        layer = name.rpartition(".")[0]
        sizes[layer] = sizes.get(layer, 0) + math.prod(shape)
    return sizes


def _eigenvalues(
    model: ModelOnSamples, product: HessianProduct, find: Callable, count: int, sign: int, seed: int
) -> list[dict]:
    before = product.count
    try:
        pairs = find(product, product.size, seed=seed, device=model.problem.device)
        values, residuals = pairs.values, pairs.residuals
    except ArpackError as error:
        # One model without eigenvalues (a Hessian of NaN or of zeros) must not take the others along.
        log.warning("no eigenvalues found (%s)", error)
        values = residuals = np.full(count, np.nan)
    spent = product.count - before
    return [
        _row(model, EIGENVALUE, LANCZOS, value, products=spent, index=sign * (place + 1), residual=residual)
        for place, (value, residual) in enumerate(zip(values, residuals, strict=True))
    ]


def _exact_traces(model: ModelOnSamples, quantities: Quantities, diagonal: Tensor) -> list[dict]:
    rows = [_row(model, TRACE, EXACT, float(diagonal.sum()))]
    if quantities.layers:
        sizes = layer_sizes(model.problem.layout)
        parts = diagonal.split(list(sizes.values()))
        rows += [
            _row(model, LAYER_TRACE, EXACT, float(part.sum()), layer=layer)
            for layer, part in zip(sizes, parts, strict=True)
        ]
    return rows


def _estimated_traces(
    model: ModelOnSamples, quantities: Quantities, product: HessianProduct, seed: int
) -> list[dict]:
    before = product.count
    found: dict[str | None, TraceEstimate] = {}
    if quantities.layers:
        sizes = layer_sizes(model.problem.layout)
        blocks = list(sizes.values())
        *parts, whole = hutchinson_parts(product, blocks, quantities.probes, seed, model.problem.device)
        found = {None: whole, **dict(zip(sizes, parts, strict=True))}
    else:
        estimate = ESTIMATORS[quantities.trace]
        found = {None: estimate(product, product.size, quantities.probes, seed, model.problem.device)}
    spent = product.count - before
    return [
        _row(
            model, TRACE if layer is None else LAYER_TRACE, quantities.trace, one.value, products=spent,
            layer=layer or "", standard_error=one.standard_error,
        )
        for layer, one in found.items()
    ]  # fmt: skip


def _density(model: ModelOnSamples, quantities: Mapping, product: HessianProduct, seed: int) -> list[dict]:
    before = product.count
    try:
        found = quadrature(
            product, product.size, quantities["steps"], quantities["probes"], seed, model.problem.device
        )
    except FloatingPointError as error:
        log.warning("no density found (%s)", error)  # one model must not take the others along
        return []
    spent, samples = product.count - before, len(model.data.labels)
    return [
        {"eigenvalue": value, "density": density, "products": spent, "samples": samples}
        for value, density in zip(*smoothed(found, quantities["width"]), strict=True)
    ]


def _row(model: ModelOnSamples, quantity: str, estimator: str, value: float, **given: object) -> dict:
    """A row with defaults for what a quantity does not have."""
    usual = {"index": 0, "layer": "", "definition": "", "standard_error": np.nan, "residual": np.nan}
    row = {**usual, "products": 0, **given, "quantity": quantity, "estimator": estimator, "value": value}
    return {**row, "samples": len(model.data.labels)}
