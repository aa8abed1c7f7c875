"""FedAvg with GradAug (Yang, Zhu & Chen, GradAug: A New Regularization Method for Deep Neural Networks, 2020;
FedAlign paper, equation 2).

In each step n sub-networks, with the first channels of every layer, see the batch at lower resolutions and
learn what the full network says:

    CE(f(x), y) + mu * sum_{i=1..n} KL( softmax(f(x)) || softmax(f_{w_i}(T_i(x))) )

The full network's answer is a constant in the second term. One width is `width`, the others are uniform
between it and 1; T_i resizes bilinearly to a resolution drawn from a list. Sub-networks share all weights,
and their batch norm uses the batch's statistics and leaves the running ones, which belong to the full width,
alone. mu = 0 is FedAvg. Widths and resolutions of a step are drawn for all clients together, since they
change shapes.

The papers leave the smallest width in federated learning open; 0.8 is the original's for small networks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate, log_softmax

from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, Context

INPUTS = "images"  # the only ones that it can take


@dataclass(frozen=True)
class Settings:
    """The sub-networks."""

    subnets: int = 2  # n, sub-networks in a step; the FedAlign paper's choice
    mu: float = 1.75  # weight of their loss; the FedAlign paper's choice
    width: float = 0.8  # smallest share of the channels
    # sides that images may be resized to, as shares of their own; the FedAlign code's for 32 pixels
    resolutions: list[float] = field(default_factory=lambda: [1.0, 0.875, 0.75, 0.625])

    def __post_init__(self):
        if self.subnets < 1:
            raise ValueError(f"subnets must be >= 1, got {self.subnets}")
        if self.mu < 0:
            raise ValueError(f"mu must be >= 0, got {self.mu}")
        if not 0 < self.width < 1:
            raise ValueError(f"width must be in (0, 1), got {self.width}")
        if not self.resolutions or not all(0 < share <= 1 for share in self.resolutions):
            raise ValueError(f"resolutions must be shares in (0, 1], got {self.resolutions}")


def shared_draws(
    settings: Settings, generator: np.random.Generator, network: Network
) -> list[tuple[float, float]]:
    """Width and resolution of each sub-network in a step, the widest first."""
    others = generator.uniform(settings.width, 1, settings.subnets - 1)
    widths = sorted([settings.width, *others.tolist()], reverse=True)
    return [(width, float(generator.choice(settings.resolutions))) for width in widths]


def loss(
    network: Network,
    parameters: Mapping[str, Tensor],
    batch: Batch,
    client: Client,
    context: Context[Settings],
) -> Tensor:
    """Mean cross-entropy of a batch and the sub-networks' weighted divergence from it, a scalar."""
    logits = network(parameters, batch.inputs)
    total = cross_entropy(logits, batch.labels)
    if context.settings.mu == 0:
        return total
    batch.check_images("gradaug")
    network.check_any_size()
    target = log_softmax(logits.detach(), dim=1)
    for width, resolution in context.drawn:
        images = batch.inputs
        if resolution < 1:
            side = [max(1, round(pixels * resolution)) for pixels in images.shape[-2:]]
            images = interpolate(images, side, mode="bilinear", align_corners=True)
        answer = log_softmax(network(parameters, images, width=width), dim=1)
        divergence = (target.exp() * (target - answer)).sum(dim=1).mean()
        total = total + context.settings.mu * divergence
    return total
