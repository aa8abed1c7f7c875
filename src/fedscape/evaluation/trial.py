"""The first samples of a set, tried on a network and its loss before all of them are evaluated."""

from math import isclose

import torch
from torch import Tensor, nn

from fedscape.errors import FedscapeError, reason
from fedscape.evaluation.evaluate import mode
from fedscape.evaluation.loss import Loss, checked, cross_entropies

TRIED = 8
"""Samples that are tried."""
_TOLERANCE = 1e-3  # relative, of rounding in float32


def check_samples(name: str, module: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> None:
    """Refuse targets that are no classes of the network's, and a loss that is a sum over the samples.

    name: of the samples in messages.
    """
    with mode(module, training=False), torch.no_grad():
        outputs = _outputs(name, module, inputs[:TRIED]).float()
        if loss is cross_entropies:
            _check_classes(name, outputs, targets)
        _check_mean(loss, outputs, targets[:TRIED])


def _outputs(name: str, module: nn.Module, inputs: Tensor) -> Tensor:
    try:
        outputs = module(inputs)
    except Exception as error:
        raise FedscapeError(
            f"{name}: the network cannot take inputs of shape {list(inputs.shape[1:])} "
            f"({type(error).__name__}: {reason(error)})"
        ) from error
    if not isinstance(outputs, Tensor):
        raise FedscapeError(f"network: gives {type(outputs).__name__}, expected a tensor of outputs")
    return outputs


def _check_classes(name: str, outputs: Tensor, targets: Tensor) -> None:
    if outputs.ndim != targets.ndim + 1 or outputs.shape[2:] != targets.shape[1:]:
        shape = [len(targets), *outputs.shape[1:]]
        raise FedscapeError(
            f"{name}: targets {list(targets.shape)} beside outputs {shape}; cross-entropy takes targets "
            "[n, ...] beside outputs [n, classes, ...]"
        )
    lowest, highest, classes = int(targets.min()), int(targets.max()), outputs.shape[1]
    if lowest < 0 or highest >= classes:
        raise FedscapeError(
            f"{name}: targets are {lowest} to {highest}; allowed are classes 0 to {classes - 1}"
        )


def _check_mean(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """Compare a scalar loss with those of the two halves of the batch."""
    samples, half = len(targets), len(targets) // 2
    losses = checked(loss(outputs, targets), samples)
    if losses.ndim or not half:
        return
    whole = losses.item()
    first, second = (
        loss(outputs[rows], targets[rows]).item() for rows in (slice(half), slice(half, samples))
    )
    mean = (half * first + (samples - half) * second) / samples
    # Where a half has no loss, a sum and a mean over those that have one are the same.
    is_sum = first and second and isclose(whole, first + second, rel_tol=_TOLERANCE)
    if is_sum and not isclose(whole, mean, rel_tol=_TOLERANCE):
        raise FedscapeError(
            'loss: gave a sum over samples; allowed are their mean (reduction="mean") and the loss of each '
            '(reduction="none")'
        )
