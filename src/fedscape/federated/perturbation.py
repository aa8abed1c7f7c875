"""Models that are moved for one gradient: sharpness-aware minimisation, as a setting that every client rule
has.

With g the gradient of a step's samples at w, and e the perturbation, the step goes along the gradient of
the same samples at w + e (Foret et al., Sharpness-Aware Minimization for Efficiently Improving
Generalization, 2021; Kwon et al., ASAM: Adaptive Sharpness-Aware Minimization, 2021, in the form of its
public code):

    SAM     e = rho g / ||g||
    ASAM    e = rho T² g / ||T g||,    T = |w| + eta in the tensors whose name contains "weight", 1 in others

The norm is over all parameters together. What a rule adds to the gradient (`adjust_gradient`), clipping,
weight decay and momentum come after, at w: none of them is part of g. With a client rule this is FedSAM or
FedASAM (fedavg: Qu et al., 2022; Caldarola et al., 2022), FedGAMMA (scaffold: Dai et al., 2023), MoFedSAM
(fedcm), and FedSpeed as its public code has it where clients have one size (feddyn: Sun et al., 2023). rho
= 0 is the rule itself, at twice the cost.

Batch norm uses the batch's statistics for both gradients, and its running ones take in those at w alone.
Public code differs: in some, both passes update them; `adaptive` of a much-used port of SAM, and of
FL-Simulator, is T = |w| for all tensors, without eta, for which another rho fits; some subtracts e again
instead of putting back w, which drifts by rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.settings.training import SharpnessAware

TINY = 1e-12
"""Norm below which a direction counts as none: it gives no perturbation, rather than NaN."""
SCALED = "weight"
"""What the names of those tensors contain whose perturbation ASAM measures relative to the weights."""


def along(direction: Tensor, rho: float) -> Tensor:
    """Vectors [..., P] of length rho in the directions given; 0 where a direction is 0."""
    norms = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
    return rho * direction / norms.clamp_min(TINY)


def sharpness_aware(sam: SharpnessAware, gradient: Tensor, parameters: Tensor, layout: Layout) -> Tensor:
    """The perturbation e [lanes, P] of models [lanes, P] with these gradients [lanes, P]."""
    if not sam.adaptive:
        return along(gradient, sam.rho)
    sizes = torch.where(_scaled(layout, parameters.device), parameters.abs() + sam.eta, 1.0)
    return sizes * along(sizes * gradient, sam.rho)


@contextmanager
def moved(parameters: Tensor, to: Tensor) -> Iterator[None]:
    """Models [lanes, P] elsewhere for a while, in place; then back to the last bit."""
    before = parameters.clone()
    parameters.copy_(to)
    try:
        yield
    finally:
        parameters.copy_(before)


def _scaled(layout: Layout, device: torch.device) -> Tensor:
    """Bool [P]: the parameters that ASAM measures relative to their size."""
    pieces = [
        torch.full((torch.Size(shape).numel(),), SCALED in name, device=device)
        for name, shape in layout.parameters
    ]
    return torch.cat(pieces)
