"""The curvature of the loss at one model: the rows of curvature.csv and density.csv about it."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.sparse.linalg import ArpackError
from torch import Tensor, nn

from fedscape.checkpoints.layout import Layout
from fedscape.curvature.density import quadrature, smoothed
from fedscape.curvature.exact import exact_diagonal
from fedscape.curvature.sharpness import PerturbedLoss, sharpness
from fedscape.curvature.traces import ESTIMATORS, TraceEstimate, hutchinson_parts
from fedscape.evaluation.eigenvalues import Eigenpairs, HessianProduct, bottom_eigenpairs, top_eigenpairs
from fedscape.evaluation.evaluate import SampleSet
from fedscape.evaluation.problem import Problem
from fedscape.settings.curvature import CurvatureSettings, DensitySettings, Sharpness, SharpnessSettings

EIGENVALUE, TRACE, LAYER_TRACE, LANCZOS, EXACT = "eigenvalue", "trace", "layer-trace", "lanczos", "exact"
_FOUND_BY: Mapping[Sharpness, str] = {
    "worst": "ascent",
    "adaptive-worst": "ascent",
    "average": "gaussian",
    "adaptive-average": "gaussian",
    "rays": "search",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelOnSamples:
    """A model on the samples that its loss is the mean over; buffers on their device."""

    problem: Problem
    parameters: Tensor
    buffers: dict[str, Tensor]
    data: SampleSet
    batch_norm: str  # whose statistics it has, as CSVs record it

    @property
    def arguments(self) -> tuple[nn.Module, Layout, Tensor, dict[str, Tensor], SampleSet]:
        """What `HessianProduct` and `exact_diagonal` take."""
        problem = self.problem
        return problem.module, problem.layout, self.parameters, self.buffers, self.data

    @cached_property
    def product(self) -> HessianProduct:
        """The Hessian's products with vectors."""
        return HessianProduct(*self.arguments)

    @cached_property
    def loss(self) -> PerturbedLoss:
        """The loss around the model."""
        return PerturbedLoss(*self.arguments)

    @cached_property
    def diagonal(self) -> Tensor:
        """The Hessian's exact diagonal: float64 [P] on the CPU."""
        return exact_diagonal(*self.arguments).cpu()


def sharpness_row(
    model: ModelOnSamples, measure: Sharpness, radius: float, settings: SharpnessSettings, seed: int
) -> dict:
    """The row of curvature.csv of one sharpness, without the names of the model. seed: of all draws."""
    found = sharpness(model.loss, measure, radius, settings, seed)
    if not math.isfinite(found.value):
        log.warning("sharpness %s %g is %g", measure, radius, found.value)
    return _row(
        model, measure, _FOUND_BY[measure], found.value, radius=radius, residual=found.residual,
        standard_error=found.standard_error,
    )  # fmt: skip


def hessian_rows(
    model: ModelOnSamples, settings: CurvatureSettings, seed: int
) -> tuple[list[dict], list[dict]]:
    """Rows of curvature.csv about the Hessian and of density.csv, without the names of the model.

    settings: with a trace that is chosen (not `auto`). seed: of all random vectors. Where no eigenvalues are
    found the rows are empty and the log says why.
    """
    rows = []
    if settings.top:
        find = partial(top_eigenpairs, top=settings.top)
        rows += _eigenvalues(model, find, settings.top, 1, seed)
    if settings.bottom:
        find = partial(bottom_eigenpairs, bottom=settings.bottom)
        rows += _eigenvalues(model, find, settings.bottom, -1, seed)
    if settings.trace == EXACT:
        rows += _exact_traces(model, settings)
    elif settings.trace != "none":
        rows += _estimated_traces(model, settings, seed)
    points = _density(model, settings.density, seed) if settings.density else []
    return rows, points


def layer_sizes(layout: Layout) -> dict[str, int]:
    """How many parameters each layer has, in their order; a layer is a module with parameters."""
    sizes: dict[str, int] = {}
    for name, shape in layout.parameters:
        layer = name.rpartition(".")[0]
        sizes[layer] = sizes.get(layer, 0) + math.prod(shape)
    return sizes


def _eigenvalues(
    model: ModelOnSamples, find: Callable[..., Eigenpairs], count: int, sign: int, seed: int
) -> list[dict]:
    product = model.product
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
        _row(model, EIGENVALUE, LANCZOS, value, products=spent, index=sign * rank, residual=residual)
        for rank, (value, residual) in enumerate(zip(values, residuals, strict=True), 1)
    ]


def _exact_traces(model: ModelOnSamples, settings: CurvatureSettings) -> list[dict]:
    rows = [_row(model, TRACE, EXACT, float(model.diagonal.sum()))]
    if settings.layers:
        sizes = layer_sizes(model.problem.layout)
        parts = model.diagonal.split(list(sizes.values()))
        rows += [
            _row(model, LAYER_TRACE, EXACT, float(part.sum()), layer=layer)
            for layer, part in zip(sizes, parts, strict=True)
        ]
    return rows


def _estimated_traces(model: ModelOnSamples, settings: CurvatureSettings, seed: int) -> list[dict]:
    product, device = model.product, model.problem.device
    before = product.count
    estimates: dict[str | None, TraceEstimate] = {}
    if settings.layers:
        sizes = layer_sizes(model.problem.layout)
        *parts, whole = hutchinson_parts(product, list(sizes.values()), settings.probes, seed, device)
        estimates = {None: whole, **dict(zip(sizes, parts, strict=True))}
    else:
        estimator = ESTIMATORS[settings.trace]
        estimates = {None: estimator(product, product.size, settings.probes, seed, device)}
    spent = product.count - before
    return [
        _row(
            model, TRACE if layer is None else LAYER_TRACE, settings.trace, estimate.value, products=spent,
            layer=layer or "", standard_error=estimate.standard_error,
        )
        for layer, estimate in estimates.items()
    ]  # fmt: skip


def _density(model: ModelOnSamples, settings: DensitySettings, seed: int) -> list[dict]:
    product, device = model.product, model.problem.device
    before = product.count
    try:
        nodes = quadrature(product, product.size, settings.steps, settings.probes, seed, device)
    except FloatingPointError as error:
        log.warning("no density found (%s)", error)  # one model must not take the others along
        return []
    spent, samples = product.count - before, len(model.data.labels)
    return [
        {"eigenvalue": value, "density": density, "products": spent, "samples": samples}
        for value, density in zip(*smoothed(nodes, settings.width), strict=True)
    ]


def _row(model: ModelOnSamples, quantity: str, estimator: str, value: float, **columns: object) -> dict:
    """A row with defaults for what a quantity does not have."""
    usual = {
        "index": 0, "layer": "", "definition": "", "radius": np.nan, "standard_error": np.nan,
        "residual": np.nan, "products": 0, "batch_norm": model.batch_norm, "samples": len(model.data.labels),
    }  # fmt: skip
    return {**usual, **columns, "quantity": quantity, "estimator": estimator, "value": value}
