"""Pruning by magnitude with a polynomial schedule (Zhu & Gupta, To Prune, or Not to Prune, 2017, equation 1;
defaults and details as in TensorFlow's model optimisation toolkit).

From time `begin` (t0) to `end` (t1) the share of weights that are zero grows from the initial sparsity s_i to
the final one s_f, quickly at first:

    s(t) = s_f + (s_i - s_f) (1 - (t - t0) / (t1 - t0))^3

Every `frequency` from t0 on, up to t1, the mask is recomputed from the weights as they are; in between, and
for good after the last time, it stays as it is. (So s_f is reached only if `frequency` divides t1 - t0.)
Training multiplies the weights by the mask after each step. Time counts rounds or a client's own steps,
as the setting `unit` says; these functions serve both.
"""

import math

import torch
from torch import Tensor

from fedscape.checkpoints.layout import Layout
from fedscape.settings.training import Pruning

POWER = 3  # of the schedule's polynomial


def sparsity(settings: Pruning, time: float) -> float:
    """s(t), the share of each kernel's weights to be zero; s_i until `begin`, s_f from `end` on."""
    progress = min(max((time - settings.begin) / (settings.end - settings.begin), 0.0), 1.0)
    initial, final = settings.initial_sparsity, settings.final_sparsity
    return final + (initial - final) * (1 - progress) ** POWER


def due(settings: Pruning, time: int) -> bool:
    """Whether the mask is recomputed at this time."""
    return time == last_due(settings, time)


def last_due(settings: Pruning, time: int) -> int | None:
    """The latest time, up to this one, at which the mask is recomputed; None before the first."""
    if time < settings.begin:
        return None
    passed = min(time, settings.end) - settings.begin
    return settings.begin + passed - passed % settings.frequency


def mask(parameters: Tensor, layout: Layout, sparsity: float) -> Tensor:
    """The parameters that stay, bool [..., P], if each kernel is to have a share `sparsity` (0..1) of zeros.

    Of a tensor with two axes or more and n weights, the max(1, round(n (1 - sparsity))) of largest magnitude
    stay, and with them any that equal the smallest of these. Biases and the like stay whole. Vectors of
    several models, stacked, are masked one by one.
    """
    shapes = [shape for _, shape in layout.parameters]
    kept = []
    for shape, piece in zip(
        shapes, parameters.split([math.prod(shape) for shape in shapes], dim=-1), strict=True
    ):
        if len(shape) < 2:
            kept.append(torch.ones_like(piece, dtype=torch.bool))
            continue
        magnitude = piece.abs()
        count = max(1, round(magnitude.shape[-1] * (1 - sparsity)))
        smallest = magnitude.topk(count, dim=-1, sorted=False).values.amin(dim=-1, keepdim=True)
        kept.append(magnitude >= smallest)
    return torch.cat(kept, dim=-1)
