"""FedAlign (Mendieta et al., Local Learning Matters: Rethinking Data Heterogeneity in Federated Learning,
2022, equations 5 to 7).

The last stage L of the network runs a second time on the features that reached it, with a share of its
channels, and is trained towards the Lipschitz constant of the full one:

    CE(f(x), y) + mu * (CE / Lip) * Lip,    Lip = mean over images of (sigma_S - sigma_F)²

The factor CE / Lip is a constant that brings the two terms to one scale. sigma is the spectral norm of the
transmitting matrix between a stage's input a [Ca, HW] and output b [Cb, HW],

    X = a b^T / HW,    sigma = sqrt(lambda_max(X X^T)),

by power iteration; the larger map is averaged down to the smaller one's size first (Shang et al., Lipschitz
Continuity Guided Knowledge Distillation, 2021). The full stage is the teacher: its sigma and the features are
constants, so that the second term reaches only the weights of the last stage that are in the narrow one. As
in the authors' code, the narrow stage sees as many of the input's channels as its width says, where the
paper's equation 7 writes all of them. The code also clips the gradient's norm to 10: the training setting
`clip`.

mu = 0 is FedAvg.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy, mse_loss

from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, Context
from fedscape.models.slim import slim_channels

PRESETS = {"paper": (0.05, 0.8), "code": (0.45, 0.25)}  # mu and width: the paper's, the published commands'
TINY = 1e-12  # keeps a spectral norm of zero, and the scale of a vanishing term, differentiable


@dataclass(frozen=True)
class Settings:
    """The narrow stage and its weight."""

    preset: Literal["paper", "code"] = "paper"  # mu and width: 0.05 and 0.8, or 0.45 and 0.25
    mu: float | None = None  # weight of the term, if not the preset's
    width: float | None = None  # share of the last stage's channels, if not the preset's
    iterations: int = 10  # of the power iteration; the code's

    def __post_init__(self):
        if self.mu is not None and self.mu < 0:
            raise ValueError(f"mu must be >= 0, got {self.mu}")
        if self.width is not None and not 0 < self.width < 1:
            raise ValueError(f"width must be in (0, 1), got {self.width}")
        if self.iterations < 1:
            raise ValueError(f"iterations must be >= 1, got {self.iterations}")


def loss(
    network: Network,
    parameters: Mapping[str, Tensor],
    batch: Batch,
    client: Client,
    context: Context[Settings],
) -> Tensor:
    """Mean cross-entropy of a batch and the scaled difference of the Lipschitz constants, a scalar."""
    settings = context.settings
    mu, width = PRESETS[settings.preset]
    mu = mu if settings.mu is None else settings.mu
    width = width if settings.width is None else settings.width
    name = network.last_block
    logits, before, full = network.traced(parameters, batch.inputs, name)
    cross = cross_entropy(logits, batch.labels)
    if mu == 0:
        return cross
    before, full = before.detach(), full.detach()
    narrow = before[:, : slim_channels(before.shape[1], width)]
    student = network.part(parameters, name, narrow, width)
    with torch.autocast(full.device.type, enabled=False):  # a difference of two numbers that are nearly equal
        teacher = spectral_norms(transmitting(before.float(), full.float()), settings.iterations)
        pupil = spectral_norms(transmitting(narrow.float(), student.float()), settings.iterations)
        lipschitz = mse_loss(pupil, teacher)
    return cross + mu * cross.detach() / (lipschitz.detach() + TINY) * lipschitz


def transmitting(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Transmitting matrices [b, Ca, Cb] between feature maps [b, Ca, H, W] and [b, Cb, H', W']."""
    height, width = (min(sizes) for sizes in zip(inputs.shape[-2:], outputs.shape[-2:], strict=True))
    inputs, outputs = (
        features if features.shape[-2:] == (height, width) else adaptive_avg_pool2d(features, (height, width))
        for features in (inputs, outputs)
    )
    return inputs.flatten(2) @ outputs.flatten(2).transpose(1, 2) / (height * width)


def spectral_norms(matrices: Tensor, iterations: int) -> Tensor:
    """Largest singular values [b] of matrices [b, m, n], by power iteration from a vector of ones.

    Differentiable through the iterations, as in the authors' code.
    """
    gram = matrices @ matrices.transpose(1, 2)
    vector = torch.ones_like(gram[:, :, :1])
    norm = vector
    for _ in range(iterations):
        product = gram @ vector
        norm = torch.linalg.vector_norm(product, dim=1, keepdim=True).clamp_min(TINY)
        vector = product / norm
    return norm.sqrt().flatten()
