"""VGG-11: eight 3x3 convolutions in five groups, each group ending in max pooling, and linear layers.

Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015, configuration
A. `classifier: full` is the network for ImageNet as torchvision has it, which the layer-wise connectivity
study trained on 32x32 images: 128,807,306 parameters with 3 input channels and 10 classes, 119.6 million of
them in its three linear layers. `classifier: small` is one linear layer on the averaged map, as is usual for
32x32: 9,225,610 parameters. Batch norm (`norm: batch`) adds 5,504. Dropout is left out.

The tensors of `full` have torchvision's names and shapes. On images below 32 pixels five poolings would leave
nothing, so there pooling stops at 2x2.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

CONVOLUTIONS = ((1, True), (2, True), (4, False), (4, True), (8, False), (8, True), (8, False), (8, True))
"""Channels of each convolution, in widths, and whether max pooling follows."""
SMALL_IMAGE = 32
"""Pixels of the shorter side below which pooling stops early; at 32 a 1x1 map is left."""
SMALLEST_MAP = 2
"""Pixels of the shorter side that pooling of a small image leaves at least."""
POOLED_SIDE = 7
"""Side of the map that the full classifier takes; a smaller map is repeated to fill it."""
HIDDEN = 64
"""Features of the full classifier's hidden layers, in widths: 4,096."""


@dataclass(frozen=True)
class Settings:
    """What is around the convolutions, and how wide they are; dropout is left out."""

    classifier: Literal["full", "small"] = "full"  # full: three linear layers on 7x7; small: one, on 1x1
    width: int = 64  # channels of the first convolution; all others are multiples of it
    norm: Literal["none", "batch"] = "none"  # kind of the layer after each convolution

    def __post_init__(self):
        if self.width < 1:
            raise ValueError(f"width must be >= 1, got {self.width}")


def build(settings: Settings, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Network for images of `shape` (channels, height, width).

    Convolutions start He-normal (fan out), linear layers normal with deviation 0.01, biases zero.
    """
    network = VGG(settings, shape, classes)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
    return network


class VGG(nn.Module):
    """Convolutions, average pooling to a fixed size, linear layers."""

    def __init__(self, settings: Settings, shape: tuple[int, int, int], classes: int):
        super().__init__()
        channels, side = shape[0], min(shape[1:])
        small = side < SMALL_IMAGE
        layers: list[nn.Module] = []
        for widths, pool in CONVOLUTIONS:
            layers.append(nn.Conv2d(channels, widths * settings.width, 3, padding=1))
            channels = widths * settings.width
            if settings.norm == "batch":
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU())
            if pool and (not small or side // 2 >= SMALLEST_MAP):
                layers.append(nn.MaxPool2d(2))
                side //= 2
        self.features = nn.Sequential(*layers)
        if settings.classifier == "small":
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.classifier = nn.Linear(channels, classes)
        else:
            self.pool = nn.AdaptiveAvgPool2d(POOLED_SIDE)
            hidden = HIDDEN * settings.width
            self.classifier = nn.Sequential(
                nn.Linear(channels * POOLED_SIDE**2, hidden),
                nn.ReLU(),
                nn.Identity(),  # torchvision's dropout, so that the layers have its numbers
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Identity(),
                nn.Linear(hidden, classes),
            )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(images)).flatten(1))
