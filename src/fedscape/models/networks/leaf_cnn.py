"""The two convolutional networks of LEAF, by the data sets that they were written for.

`celeba`: four 3x3 convolutions of 32 channels, each followed by normalisation, ReLU and 2x2 max pooling, and
a linear layer. As in the code of Where to Begin? (Nguyen et al., 2022), which takes it for CIFAR-10 and
FEMNIST: padding of 2, and one group norm of 32 groups with one scale and shift that all four share. 31,594
parameters on 3x32x32 with 10 classes, 46,046 on 1x28x28 with 62. LEAF's own had batch norm.

`femnist`: two 5x5 convolutions of 32 and 64 channels, each followed by ReLU and 2x2 max pooling, 2,048 hidden
features (Caldas et al., LEAF: A Benchmark for Federated Settings, 2018). 6,603,710 parameters on 1x28x28 with
62 classes.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 32
CONVOLUTIONS = 4
"""Convolutions of `celeba`."""
HIDDEN = 2048


@dataclass(frozen=True)
class Settings:
    """Which of the two."""

    network: Literal["celeba", "femnist"] = (
        "celeba"  # four 3x3 convolutions; or two 5x5, and a large hidden layer
    )

    def __post_init__(self):
        if self.network not in ("celeba", "femnist"):
            raise ValueError(f"network must be celeba or femnist, got {self.network}")


def build(settings: Settings, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Network for images of `shape` (channels, height, width), 4x4 pixels at least; PyTorch's own start."""
    channels, *sides = shape
    if settings.network == "celeba":
        for _ in range(CONVOLUTIONS):
            sides = [(side + 2) // 2 for side in sides]
        return SharedNorm(channels, CHANNELS * sides[0] * sides[1], classes)
    return nn.Sequential(
        nn.Conv2d(channels, CHANNELS, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(CHANNELS, 2 * CHANNELS, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * CHANNELS * (sides[0] // 4) * (sides[1] // 4), HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, classes),
    )


class SharedNorm(nn.Module):
    """Convolutions with one normalisation between them all."""

    def __init__(self, channels: int, features: int, classes: int):
        super().__init__()
        inputs = [channels] + [CHANNELS] * (CONVOLUTIONS - 1)
        self.convolutions = nn.ModuleList(nn.Conv2d(count, CHANNELS, 3, padding=2) for count in inputs)
        self.norm = nn.GroupNorm(CHANNELS, CHANNELS)
        self.classifier = nn.Linear(features, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = images
        for convolution in self.convolutions:
            features = functional.max_pool2d(functional.relu(self.norm(convolution(features))), 2)
        return self.classifier(features.flatten(1))
