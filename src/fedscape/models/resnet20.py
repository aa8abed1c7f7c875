"""ResNet-20 for small images (He et al., Deep Residual Learning for Image Recognition, 2016, section 4.2).

Three stages of three basic blocks with 16, 32 and 64 channels and the parameter-free shortcut (option A:
subsample, pad the new channels with zeros). With 3 input channels and 10 classes 269,722 parameters with
`norm: batch` or `norm: group`; 268,346 with `norm: none`, where normalisation is left out and nothing put in
its place (convolutions keep no bias), as the layer-wise connectivity paper does it.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class Settings:
    """Normalisation of the network."""

    norm: Literal["batch", "group", "none"] = "batch"  # kind of the layer after each convolution
    groups: int = 8  # groups of channels that `norm: group` normalises; must divide 16

    def __post_init__(self):
        if self.groups < 1 or 16 % self.groups:
            raise ValueError(f"groups must divide 16, got {self.groups}")


def build(settings: Settings, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Network for images of `shape` (channels, height, width); He-normal convolutions."""
    network = ResNet20(settings, shape[0], classes)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network


def normalisation(settings: Settings, channels: int) -> nn.Module:
    """The layer after a convolution of `channels` outputs."""
    if settings.norm == "batch":
        return nn.BatchNorm2d(channels)
    if settings.norm == "group":
        return nn.GroupNorm(settings.groups, channels)
    return nn.Identity()


class Block(nn.Module):
    """Two convolutions and the way around them."""

    def __init__(self, settings: Settings, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = normalisation(settings, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = normalisation(settings, outputs)
        self.stride = stride
        self.new_channels = outputs - inputs

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.norm1(self.conv1(features)))
        inner = self.norm2(self.conv2(inner))
        around = features[:, :, :: self.stride, :: self.stride]
        half = self.new_channels // 2
        around = functional.pad(around, (0, 0, 0, 0, half, self.new_channels - half))
        return functional.relu(inner + around)


class ResNet20(nn.Module):
    """Stem, nine blocks, global average, one linear layer."""

    def __init__(self, settings: Settings, channels: int, classes: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.norm = normalisation(settings, 16)
        blocks, inputs = [], 16
        for outputs in (16, 32, 64):
            for _ in range(3):
                blocks.append(Block(settings, inputs, outputs, stride=1 if inputs == outputs else 2))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.blocks(functional.relu(self.norm(self.conv(images))))
        return self.classifier(features.mean(dim=(2, 3)))
