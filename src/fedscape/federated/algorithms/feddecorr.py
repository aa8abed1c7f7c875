"""FedDecorr: features that do not say the same thing twice (Shi et al., Towards Understanding and
Mitigating Dimensional Collapse in Heterogeneous Federated Learning, 2023, in the form of the authors'
public code).

With X [n, d] the features that enter the classifier, each centred over the batch and divided by sqrt(1e-8 +
its unbiased variance), clients minimise

    CE + beta / n * mean over pairs i != j of (X'X)_ij²

For correlations r_ij the term is (n - 1)²/n mean r_ij² (but for the 1e-8), so its weight grows with the
size of a batch: for n = 64 and r = 1 it is 62.02. Papers that quote a mean over the squared correlations
alone mean another beta. A batch of one sample has no term. beta = 0 is FedAvg. Features that are maps are
averaged over their places.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, Context

INPUTS = "images"  # the only ones that it can take
VARIANCE_FLOOR = 1e-8  # added to the variance of a feature; the public code's


@dataclass(frozen=True)
class Settings:
    """The decorrelation."""

    beta: float = 0.1  # weight of the term; the public code's

    def __post_init__(self):
        if self.beta < 0:
            raise ValueError(f"beta must be >= 0, got {self.beta}")


def loss(
    network: Network,
    parameters: Mapping[str, Tensor],
    batch: Batch,
    client: Client,
    context: Context[Settings],
) -> Tensor:
    """Mean cross-entropy and weighted correlation of the features of a batch, a scalar."""
    if context.settings.beta == 0:
        return cross_entropy(network(parameters, batch.inputs), batch.labels)
    batch.check_images("feddecorr")
    logits, features, _ = network.traced(parameters, batch.inputs, network.classifier)
    cross = cross_entropy(logits, batch.labels)
    with torch.autocast(features.device.type, enabled=False):
        return cross + context.settings.beta * correlation(features.float())


def correlation(features: Tensor) -> Tensor:
    """The term of features [n, d] or [n, d, height, width], a scalar; 0 for one sample or one feature."""
    if features.ndim > 2:
        features = features.flatten(2).mean(2)
    n, d = features.shape
    if n == 1 or d == 1:
        return features.new_zeros(())
    scale = (features.var(dim=0, keepdim=True) + VARIANCE_FLOOR).sqrt()
    standard = (features - features.mean(dim=0, keepdim=True)) / scale
    products = standard.T @ standard
    return 2 * products.triu(1).square().sum() / (d * (d - 1)) / n
