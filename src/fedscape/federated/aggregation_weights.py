"""Aggregation weights: by a client's samples, uniform, or by the inverse of a variance.

A mean of independent estimates has the least variance when each is weighted by the inverse of its own. What
"the variance of a client" is, the client-drift note leaves open. Two readings are offered:

    inverse-input-variance    how much its images differ: the variance of a normalised pixel over the client's
                              samples, averaged over the pixels and channels. Known before training.
    inverse-update-variance   how noisy its training is: the trace of the covariance of the gradients of its
                              steps, sum_k ||g_k - mean g||² / (K - 1). The statistically meaningful one; it
                              also contains how the gradient changes within the round.

Both use the unbiased divisor, so a client needs two samples, or two steps. The weights are relative:
averaging divides by their sum over the round's participants.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import IMAGES, EvaluationSet

SIZE, UNIFORM = "size", "uniform"
INPUT_VARIANCE, UPDATE_VARIANCE = "inverse-input-variance", "inverse-update-variance"

VARIANCE_FLOOR = 1e-12
"""Keeps the weight of a client without any variance finite; far below a variance that is not zero."""
PIXELS_AT_ONCE = 2**20  # of each channel that are widened from uint8 to int64, so that memory stays flat


def weight(kind: str, samples: int, variance: float = math.nan) -> float:
    """A client's weight, up to a factor that all clients share.

    samples: the client has. variance: as the kind of weight asks for; NaN gives NaN.
    Raises FedscapeError on an unknown kind.
    """
    if kind == SIZE:
        return float(samples)
    if kind == UNIFORM:
        return 1.0
    if kind in (INPUT_VARIANCE, UPDATE_VARIANCE):
        return 1.0 / max(variance, VARIANCE_FLOOR)
    allowed = ", ".join((SIZE, UNIFORM, INPUT_VARIANCE, UPDATE_VARIANCE))
    raise FedscapeError(f"weights: unknown kind '{kind}'; allowed: {allowed}")


def input_variances(
    images: EvaluationSet, clients: Sequence[np.ndarray], deviations: Tensor | None = None
) -> np.ndarray:
    """Mean variance of a normalised pixel within each client, float64 [N].

    images: the train set. clients: per client the positions of its samples in it.
    deviations: [N, C], by which each client's pixels (0..1) are divided where clients are normalised by
        themselves; None where all are normalised by the set's own. (Their means do not matter.)
    Raises FedscapeError where a client has fewer than two samples, or samples are no images.
    """
    if not images.has_pixels:
        samples = "normalised already" if images.inputs.ndim == IMAGES else "sequences of tokens"
        raise FedscapeError(
            f"weights {INPUT_VARIANCE} is for images of pixels, and these samples are {samples}"
        )
    variances = np.empty(len(clients))
    for client, positions in enumerate(clients):
        if len(positions) < 2:
            raise FedscapeError(
                f"weights {INPUT_VARIANCE}: client {client} has {len(positions)} sample, at least 2 needed"
            )
        deviation = images.std if deviations is None else deviations[client]
        pixels = _pixel_variances(images, np.asarray(positions))
        per_channel = pixels.mean(dim=(1, 2)) / (255 * deviation.double().cpu()).square()
        variances[client] = per_channel.mean().item()
    return variances


def update_variance(sum_of_squares: float, sum_of_gradients: Tensor, steps: int) -> float:
    """Trace of the covariance of a client's gradients in a round, from sums over its steps.

    sum_of_squares: of the gradients' squared norms. sum_of_gradients: [P].
    Raises FedscapeError where there are fewer than two steps.
    """
    if steps < 2:
        raise FedscapeError(
            f"weights {UPDATE_VARIANCE}: a client made {steps} step in a round, at least 2 needed"
            " (by a smaller batch_size or more local_epochs)"
        )
    norm = torch.linalg.vector_norm(sum_of_gradients, dtype=torch.float64).item()
    # Equal gradients leave a rounding error of either sign.
    return max((sum_of_squares - norm**2 / steps) / (steps - 1), 0.0)


def pieces(images: EvaluationSet, positions: np.ndarray) -> Iterator[Tensor]:
    """The images at `positions` [n], some at a time: int64 [m, C, H, W]."""
    _, height, width = images.shape
    together = max(1, PIXELS_AT_ONCE // (height * width))
    for rows in torch.from_numpy(positions).to(images.inputs.device).split(together):
        yield images.shown(rows).long()


def _pixel_variances(images: EvaluationSet, positions: np.ndarray) -> Tensor:
    """Variance of each pixel (0..255) over some of the images, float64 [C, H, W] on the CPU.

    The sums are whole numbers, hence exact: no digits are lost in their difference.
    """
    total = torch.zeros(images.shape, dtype=torch.int64, device=images.inputs.device)
    squares = torch.zeros_like(total)
    for chunk in pieces(images, positions):
        total += chunk.sum(dim=0)
        squares += chunk.square().sum(dim=0)
    samples = len(positions)
    spread = (samples * squares - total.square()).cpu().double()
    return spread / (samples * (samples - 1))
