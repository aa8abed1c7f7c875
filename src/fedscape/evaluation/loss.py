"""The loss of a network's outputs, cross-entropy or any other function, and the share of wrong answers."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fedscape.errors import FedscapeError

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of outputs [b, ...] and targets [b, ...]: the losses of a batch's samples, [b] or [b, ...] (of each
prediction), or their mean, a scalar, which leaves standard errors unknown."""
MEASURES = 4
"""Numbers that are added up over the samples; see `measures`."""
LOSS, LOSS_SQUARED, WRONG = 0, 1, 2
"""Indices of three of them: the loss, its square, the share of wrong answers."""


def cross_entropies(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats of each prediction: outputs [b, classes, ...], targets and result [b, ...]."""
    return cross_entropy(outputs, targets, reduction="none")


def measures(outputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """Each sample's loss and its square, share of wrong answers and its square: float64 [MEASURES, b].

    A sample with several predictions has their mean. Answers are wrong or right where targets are numbers of
    classes, integers [b, ...] beside outputs [b, classes, ...]; elsewhere their share is NaN. A scalar loss
    counts for each sample of the batch, with squares that are NaN.
    """
    outputs = outputs.float()
    samples = len(targets)
    losses = checked(loss(outputs, targets), samples).double()
    if _classifies(outputs, targets):
        wrong = outputs.argmax(dim=1) != targets
        if losses.shape == wrong.shape:
            wrong |= losses.isnan()
        wrong = _by_sample(wrong.double())
    else:
        wrong = torch.full((samples,), torch.nan, dtype=torch.float64, device=outputs.device)
    if losses.ndim == 0:
        losses = losses.expand(samples)
        squares = torch.full_like(losses, torch.nan)
    else:
        losses = _by_sample(losses)
        squares = losses.square()
    return torch.stack([losses, squares, wrong, wrong.square()])


def part_of_mean(losses: Tensor, samples: int, total: int) -> Tensor:
    """What a batch of `samples` adds to the mean loss over `total`; differentiable."""
    if checked(losses, samples).ndim == 0:
        return losses * (samples / total)
    return losses.sum() / (total * losses[0].numel())


def checked(losses: Tensor, samples: int) -> Tensor:
    """The losses; FedscapeError unless they are a scalar or have a row for each sample."""
    if not isinstance(losses, Tensor) or (losses.ndim and len(losses) != samples):
        shape = list(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise FedscapeError(
            f"loss: gave {shape} for a batch of {samples} samples; allowed are a scalar tensor (their mean) "
            f"and one of shape [{samples}, ...]"
        )
    return losses


def _classifies(outputs: Tensor, targets: Tensor) -> bool:
    kinds = not (targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool)
    return kinds and outputs.ndim == targets.ndim + 1 and outputs.shape[2:] == targets.shape[1:]


def _by_sample(values: Tensor) -> Tensor:
    """Means over all but the first axis: [b]."""
    return values.flatten(1).mean(dim=1) if values.ndim > 1 else values
