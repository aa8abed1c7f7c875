"""SqueezeNet 1.0: squeezing 1x1 convolutions before pairs of 1x1 and 3x3 ones, and no linear layer.

Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, 2016. It is torchvision's
network, with its names, without dropout: 1,248,424 parameters with 1,000 classes, 740,554 with 10. Its last
convolution gives a map for each class, whose ReLU is averaged: logits are never negative.

On images below 21 pixels nothing would be left to pool, so there the first convolution is padded and has
stride 1; the smallest images then are of 8 pixels.
"""

from dataclasses import dataclass

from torch import nn

from fedscape.errors import FedscapeError

SMALL_IMAGE = 21
"""Pixels of the shorter side below which the first convolution is padded; at 21 a 1x1 map is left."""
SMALLEST_IMAGE = 8
"""Pixels of which three poolings then leave a 1x1 map."""
KERNEL = 7


@dataclass(frozen=True)
class Settings:
    """The network has no settings; dropout is left out."""


def build(settings: Settings, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Network for images of `shape` (channels, height, width), 8x8 pixels at least; torchvision's start."""
    from torchvision.models.squeezenet import SqueezeNet  # slow to import, and only this network needs it

    channels, side = shape[0], min(shape[1:])
    if side < SMALLEST_IMAGE:
        raise FedscapeError(f"model squeezenet takes images of {SMALLEST_IMAGE} pixels or more, got {side}")
    network = SqueezeNet("1_0", num_classes=classes)
    network.classifier[0] = nn.Identity()  # dropout, so that the layers keep its numbers
    if channels != network.features[0].in_channels or side < SMALL_IMAGE:
        network.features[0] = _first(channels, small=side < SMALL_IMAGE)
    return network


def torchvision_name(name: str) -> str:
    """Torchvision's name of a tensor: the same."""
    return name


def _first(channels: int, small: bool) -> nn.Conv2d:
    """A first convolution for other images, started as the others are."""
    layer = nn.Conv2d(channels, 96, KERNEL, 1 if small else 2, KERNEL // 2 if small else 0)
    nn.init.kaiming_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
