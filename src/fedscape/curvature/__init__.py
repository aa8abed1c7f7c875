"""Second derivatives of the loss, how far clients agree in them, and how much it rises at finite distances.

In a notebook, of any module and an `EvaluationSet` of samples:

    here = module, *state_of(module), data
    product = HessianProduct(*here)
    top_eigenpairs(product, product.size, 3, seed=0, device=product.point.device).values
    exact_diagonal(*here).sum()             # the trace, without a product, where the network allows it
    hutch_pp(product, product.size, 30, seed=0, device=product.point.device)   # where it does not
    worst(PerturbedLoss(*here), torch.ones(product.size), 0.05, steps=20, starts=2, seed=0).value
"""

from fedscape.curvature.density import quadrature, smoothed
from fedscape.curvature.exact import exact_diagonal
from fedscape.curvature.hessian_agreement import HessianAgreement, agreement
from fedscape.curvature.piecewise import why_not_piecewise_linear
from fedscape.curvature.sharpness import PerturbedLoss, SharpnessValue, average, rays, sharpness, worst
from fedscape.curvature.traces import TraceEstimate, hutch_pp, hutchinson, hutchinson_parts, xtrace
from fedscape.evaluation.eigenvalues import (
    Eigenpairs,
    HessianProduct,
    bottom_eigenpairs,
    state_of,
    top_eigenpairs,
)
from fedscape.evaluation.evaluate import EvaluationSet

__all__ = [
    "Eigenpairs",
    "EvaluationSet",
    "HessianAgreement",
    "HessianProduct",
    "PerturbedLoss",
    "SharpnessValue",
    "TraceEstimate",
    "agreement",
    "average",
    "bottom_eigenpairs",
    "exact_diagonal",
    "hutch_pp",
    "hutchinson",
    "hutchinson_parts",
    "quadrature",
    "rays",
    "sharpness",
    "smoothed",
    "state_of",
    "top_eigenpairs",
    "why_not_piecewise_linear",
    "worst",
    "xtrace",
]
