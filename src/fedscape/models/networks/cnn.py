"""The small CNN of the federated benchmarks: two 5x5 convolutions with pooling, fully connected 120 and 84.

LeNet-5 with ReLU and max pooling, as in the code of NIID-Bench (Li et al., arXiv 2102.02079) and MOON (Li, He
& Song, 2021): 62,006 parameters on 3x32x32 with 10 classes, 44,426 on 1x28x28. With MOON's `projection: 256`
a head of Linear(84, 84)-ReLU-Linear(84, 256) lies before the classifier.
On images below 16 pixels two convolutions without padding would leave nothing, so there they are padded.
"""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from fedscape.models.projection_head import projection_head

SMALL_IMAGE = 16
"""Pixels of the shorter side below which the convolutions are padded; at 16 a 1x1 map is left."""


@dataclass(frozen=True)
class Settings:
    """What lies before the classifier."""

    projection: int = 0  # outputs of a two-layer head before the classifier, as MOON has it; 0: no head

    def __post_init__(self):
        if self.projection < 0:
            raise ValueError(f"projection must be >= 0, got {self.projection}")


def build(settings: Settings, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Network for images of `shape` (channels, height, width), 4x4 pixels at least; PyTorch's own start."""
    channels, height, width = shape
    padding = 2 if min(height, width) < SMALL_IMAGE else 0
    for _ in range(2):
        height, width = ((side - 4 + 2 * padding) // 2 for side in (height, width))
    layers = {
        "conv1": nn.Conv2d(channels, 6, 5, padding=padding),
        "pool1": nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)),
        "conv2": nn.Conv2d(6, 16, 5, padding=padding),
        "pool2": nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        "hidden1": nn.Linear(16 * height * width, 120),
        "relu1": nn.ReLU(),
        "hidden2": nn.Linear(120, 84),
        "relu2": nn.ReLU(),
        "head": projection_head(84, settings.projection),
        "classifier": nn.Linear(settings.projection or 84, classes),
    }
    return nn.Sequential(OrderedDict(layers))
