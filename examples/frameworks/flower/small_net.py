"""The network of the minimal apps: batch norm, so that there are buffers and a counter."""

from torch import Tensor, nn


class SmallNet(nn.Module):
    """A network for images of 8 x 8 pixels and ten classes, 54 parameters."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(2, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, 10] of images [n, 1, 8, 8]."""
        return self.head(self.norm(self.conv(images)).relu().mean((2, 3)))
