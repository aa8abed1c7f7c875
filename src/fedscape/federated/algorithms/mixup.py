"""FedAvg with Mixup (Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, equation 1).

Each batch is mixed with itself in another order, with one lambda ~ Beta(gamma, gamma):

    x = lambda x_i + (1 - lambda) x_j,    loss = lambda CE(f(x), y_i) + (1 - lambda) CE(f(x), y_j)

gamma = 0 means lambda = 1, which is FedAvg.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy

from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, Context

INPUTS = "images"  # the only ones that it can take


@dataclass(frozen=True)
class Settings:
    """How much images are mixed."""

    gamma: float = 0.05  # both parameters of the Beta distribution; the FedAlign paper's choice

    def __post_init__(self):
        if self.gamma < 0:
            raise ValueError(f"gamma must be >= 0, got {self.gamma}")


def step_draws(settings: Settings, generator: np.random.Generator, samples: int) -> dict[str, np.ndarray]:
    """lambda, and the order [samples] of the images that are mixed in."""
    if settings.gamma == 0:
        return {}
    return {
        "share": np.array(generator.beta(settings.gamma, settings.gamma)),
        "partners": generator.permutation(samples),
    }


def loss(
    network: Network,
    parameters: Mapping[str, Tensor],
    batch: Batch,
    client: Client,
    context: Context[Settings],
) -> Tensor:
    """Mean mixed cross-entropy of a batch, a scalar."""
    if context.settings.gamma == 0:
        return cross_entropy(network(parameters, batch.inputs), batch.labels)
    batch.check_images("mixup")
    share, partners = batch.draws["share"], batch.draws["partners"]
    logits = network(parameters, share * batch.inputs + (1 - share) * batch.inputs[partners])
    first, second = cross_entropy(logits, batch.labels), cross_entropy(logits, batch.labels[partners])
    return share * first + (1 - share) * second
