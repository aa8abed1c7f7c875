"""The head that contrastive methods put between a network's features and its classifier."""

from torch import nn


def projection_head(features: int, outputs: int) -> nn.Module:
    """Linear(d, d)-ReLU-Linear(d, outputs) for `features` = d; the identity where `outputs` is 0.

    As in the code of MOON's authors (Li, He & Song, Model-Contrastive Federated Learning, 2021).
    """
    if outputs == 0:
        return nn.Identity()
    return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, outputs))
