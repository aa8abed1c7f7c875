"""FedAvg with stochastic depth (Huang et al., Deep Networks with Stochastic Depth, 2016, equations 2 to 5).

In each step every residual block keeps its branch with probability p_l, which falls linearly from 1 in the
first block to p_L in the last, and is otherwise its shortcut alone. (The paper's formula 1 - l/L (1 - p_L)
has the first block below 1; its code, and FedAlign's, begin at 1.)

The paper, and FedAlign's code, train the branch as it is and multiply it by p_l for evaluation. Here a kept
branch counts 1/p_l in training and 1 in evaluation, as in torchvision, so that the model that is kept can be
evaluated, and looked at on a surface with others, by a network that knows nothing of p_l. Both can express
the same functions, but do not train alike. From the same weights a branch begins at 1/p_l times the paper's
scale, in training and in evaluation (at most 1.11 for p_L = 0.9); and for the last affine layer of a branch
it is a learning rate larger by 1/p_l² (at most 1.23). p_L = 1 is FedAvg.

The blocks of a step are drawn for all clients together, since they change what is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy

from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, Context


@dataclass(frozen=True)
class Settings:
    """How often blocks take part."""

    survival: float = 0.9  # p_L, the probability of the last block's branch; the FedAlign paper's choice

    def __post_init__(self):
        if not 0 < self.survival <= 1:
            raise ValueError(f"survival must be in (0, 1], got {self.survival}")


def shared_draws(settings: Settings, generator: np.random.Generator, network: Network) -> list[float]:
    """The factor of each residual block's branch in a step: 0, or 1/p_l."""
    probabilities = np.linspace(1.0, settings.survival, len(network.blocks))
    kept = generator.random(len(probabilities)) < probabilities
    return np.where(kept, 1 / probabilities, 0.0).tolist()


def loss(
    network: Network, parameters: Mapping[str, Tensor], batch: Batch, client: Client, context: Context
) -> Tensor:
    """Mean cross-entropy of a batch in the network of this step, a scalar."""
    return cross_entropy(network(parameters, batch.inputs, scales=context.drawn), batch.labels)
