"""ConvNet: six 3x3 convolutions and two fully connected layers, no normalisation.

The pilot study gives "6 Conv + 2 FC" without widths; these are the widths of the same group's earlier public
work (FedBE): 32-64-64-64-64-64 channels, a hidden layer of 64, 233,354 parameters on 3x32x32 with 10 classes.
Its first three convolutions are not padded. On images below 20 pixels that would leave nothing to convolve,
so there they are padded and pooling stops at 2x2: 183,626 parameters on 1x8x8 with 10 classes.
"""

from dataclasses import dataclass

from torch import nn

SMALL_IMAGE = 20
"""Pixels of the shorter side below which the first convolutions are padded; at 20 a 1x1 map is left."""
SMALLEST_MAP = 2
"""Pixels of the shorter side that pooling of a small image leaves at least."""


@dataclass(frozen=True)
class Settings:
    """The network has no settings."""


def build(settings: Settings, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Network for images of `shape` (channels, height, width); Glorot-uniform weights, zero biases."""
    channels, height, width = shape
    small = min(height, width) < SMALL_IMAGE
    layers: list[nn.Module] = []
    for outputs, pool in ((32, True), (64, True), (64, False)):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1 if small else 0), nn.ReLU()]
        if not small:
            height, width = height - 2, width - 2
        if pool and (not small or min(height, width) // 2 >= SMALLEST_MAP):
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        channels = outputs
    for _ in range(3):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(channels * height * width, 64), nn.ReLU(), nn.Linear(64, classes)]
    network = nn.Sequential(*layers)
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
