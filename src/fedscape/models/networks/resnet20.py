"""ResNet-20 for small images (He et al., Deep Residual Learning for Image Recognition, 2016, section 4.2).

Three stages of three basic blocks with 16, 32 and 64 channels and the parameter-free shortcut (option A:
subsample, pad the new channels with zeros). With 3 input channels and 10 classes 269,722 parameters with
`norm: batch` or `norm: group`; 268,346 with `norm: none`, where normalisation is left out and nothing put in
its place (convolutions keep no bias), as in the layer-wise connectivity paper.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from fedscape.models.networks import resnet


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
    family = resnet.Settings(
        blocks=[3, 3, 3],
        block="basic",
        width=16,
        stem="cifar",
        shortcut="pad",
        norm=settings.norm,
        groups=settings.groups,
    )
    return resnet.build(family, shape, classes)
