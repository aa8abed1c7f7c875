"""A model of two parameters whose loss is least on a circle around a hill: floor + (|theta|^2 - 1)^2."""

import sys
from dataclasses import dataclass
from pathlib import Path

import bowl
import numpy as np
import torch
from torch import nn

FLOOR, HILL = 0.05, 1.05
"""The loss on the circle, and in its middle."""


@dataclass(frozen=True)
class Settings:
    """None."""


class Ring(nn.Module):
    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(2))

    def forward(self, images):
        loss = FLOOR + (self.theta.square().sum() - 1).square()
        # The cross-entropy of (z, 0) and class 0 is log(1 + exp(-z)).
        logit = -(loss + torch.log(-torch.expm1(-loss)))
        return torch.stack([logit, torch.zeros_like(logit)]).expand(len(images), 2)


def build(settings, shape, classes):
    return Ring()


def world(folder: Path, angles: list[float]) -> dict:
    """As `bowl.world`, of a run for each angle, whose final model lies there on the circle."""
    given = bowl.world(folder, [np.zeros((1, bowl.SIZE))] * len(angles))
    sys.modules["fedscape.models.networks.ring"] = sys.modules[__name__]
    for path, angle in zip(given["trajectories"], angles, strict=True):
        bowl.write_models(path, Ring(), np.array([[0, 0], [np.cos(angle), np.sin(angle)]]))
    return given | {"model": "ring"}
