"""Residual networks: basic or bottleneck blocks, stages of doubling width, two stems, two shortcuts.

He et al., Deep Residual Learning for Image Recognition, 2016. `{block: bottleneck, blocks: [6, 6, 6]}` is
what the code of FedAlign's authors calls ResNet-56: 591,322 parameters with 3 input channels and 10 classes,
614,452 with 100 classes, 746,036 with 100 classes and `projection: 256`. `{blocks: [2, 2, 2, 2], width: 64,
stem: imagenet}` is ResNet-18. With `norm: none` normalisation is left out and nothing put in its place
(convolutions keep no bias), as the layer-wise connectivity paper does it. `norm: group, groups: 32` means
min(32, C) groups for C channels: what opacus makes of batch norm in the code of Where to Begin? (2022).

The network's stages are `stages.0`, `stages.1`, ...; the last one is what FedAlign calls the last block.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from fedscape.models.projection_head import projection_head
from fedscape.models.residual import PaddedShortcut, ResidualBlock


@dataclass(frozen=True)
class Settings:
    """The shape of the network."""

    blocks: list[int]  # blocks of each stage; each stage after the first halves height and width
    block: Literal["basic", "bottleneck"] = "basic"  # 3x3, 3x3; or 1x1, 3x3 and 1x1 to 4 times the width
    width: int = 16  # channels of the stem and of the first stage's 3x3 convolutions; doubled by each stage
    stem: Literal["cifar", "imagenet"] = "cifar"  # cifar: 3x3; imagenet: 7x7 with stride 2, max pooling
    shortcut: Literal["conv", "pad"] = "conv"  # where shapes differ: 1x1 convolution, or zeros (option A)
    norm: Literal["batch", "group", "none"] = "batch"  # kind of the layer after each convolution
    groups: int = 8  # groups of channels that `norm: group` normalises; fewer channels are a group each
    projection: int = 0  # outputs of a two-layer head before the classifier, as MOON has it; 0: no head

    def __post_init__(self):
        if not self.blocks or min(self.blocks) < 1:
            raise ValueError(f"blocks must list at least one stage, each >= 1, got {self.blocks}")
        if self.width < 1:
            raise ValueError(f"width must be >= 1, got {self.width}")
        if self.groups < 1:
            raise ValueError(f"groups must be >= 1, got {self.groups}")
        ratios = (1, 4) if self.block == "bottleneck" else (1,)
        widths = [self.width * 2**stage * ratio for stage in range(len(self.blocks)) for ratio in ratios]
        wrong = [channels for channels in widths if channels % min(self.groups, channels)]
        if self.norm == "group" and wrong:
            raise ValueError(f"groups must divide {wrong[0]}, got {self.groups}")
        if self.projection < 0:
            raise ValueError(f"projection must be >= 0, got {self.projection}")


def build(settings: Settings, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Network for images of `shape` (channels, height, width); He-normal convolutions."""
    network = ResNet(settings, shape[0], classes)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network


def torchvision_name(name: str) -> str | None:
    """The name of a tensor in torchvision's network of the same blocks; None in a projection head."""
    first, _, rest = name.partition(".")
    if first == "stages":
        stage, rest = rest.split(".", 1)
        return f"layer{int(stage) + 1}.{rest.replace('norm', 'bn').replace('around', 'downsample')}"
    names = {"conv": "conv1", "norm": "bn1", "classifier": "fc"}
    return f"{names[first]}.{rest}" if first in names else None


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps height and width, divided by the stride."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def normalisation(settings: Settings, channels: int) -> nn.Module:
    """The layer after a convolution of `channels` outputs."""
    if settings.norm == "batch":
        return nn.BatchNorm2d(channels)
    if settings.norm == "group":
        return nn.GroupNorm(min(settings.groups, channels), channels)
    return nn.Identity()


def shortcut_layer(settings: Settings, inputs: int, outputs: int, stride: int) -> nn.Module:
    """The shortcut of a block: the features as they are wherever their shape allows it."""
    if inputs == outputs and stride == 1:
        return nn.Identity()
    if settings.shortcut == "pad":
        return PaddedShortcut(outputs, stride)
    return nn.Sequential(convolution(inputs, outputs, 1, stride), normalisation(settings, outputs))


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions."""

    expansion = 1  # outputs per channel of `width`

    def __init__(self, settings: Settings, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = convolution(inputs, width, 3, stride)
        self.norm1 = normalisation(settings, width)
        self.conv2 = convolution(width, width, 3)
        self.norm2 = normalisation(settings, width)
        self.around = shortcut_layer(settings, inputs, width, stride)

    def branch(self, features: Tensor) -> Tensor:
        features = functional.relu(self.norm1(self.conv1(features)))
        return self.norm2(self.conv2(features))

    def shortcut(self, features: Tensor) -> Tensor:
        return self.around(features)


class Bottleneck(ResidualBlock):
    """A 3x3 convolution between two of 1x1; the 3x3 one has the stride."""

    expansion = 4

    def __init__(self, settings: Settings, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = convolution(inputs, width, 1)
        self.norm1 = normalisation(settings, width)
        self.conv2 = convolution(width, width, 3, stride)
        self.norm2 = normalisation(settings, width)
        self.conv3 = convolution(width, outputs, 1)
        self.norm3 = normalisation(settings, outputs)
        self.around = shortcut_layer(settings, inputs, outputs, stride)

    def branch(self, features: Tensor) -> Tensor:
        features = functional.relu(self.norm1(self.conv1(features)))
        features = functional.relu(self.norm2(self.conv2(features)))
        return self.norm3(self.conv3(features))

    def shortcut(self, features: Tensor) -> Tensor:
        return self.around(features)


BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNet(nn.Module):
    """Stem, stages, global average, projection head if any, one linear layer.

    last_block: name of the last stage, one submodule that is called once with the previous stage's output.
    """

    def __init__(self, settings: Settings, channels: int, classes: int):
        super().__init__()
        width, imagenet = settings.width, settings.stem == "imagenet"
        self.conv = convolution(channels, width, 7, stride=2) if imagenet else convolution(channels, width, 3)
        self.norm = normalisation(settings, width)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if imagenet else nn.Identity()
        block, inputs, stages = BLOCKS[settings.block], width, []
        for stage, count in enumerate(settings.blocks):
            blocks = []
            for number in range(count):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks.append(block(settings, inputs, width * 2**stage, stride))
                inputs = block.expansion * width * 2**stage
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.last_block = f"stages.{len(stages) - 1}"
        self.head = projection_head(inputs, settings.projection)
        self.classifier = nn.Linear(settings.projection or inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.pool(functional.relu(self.norm(self.conv(images))))
        features = self.stages(features)
        return self.classifier(self.head(features.mean(dim=(2, 3))))
