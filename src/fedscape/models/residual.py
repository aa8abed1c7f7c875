"""Residual blocks: the interface by which algorithms switch off or scale a block's branch."""

from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + branch_scale * branch(x)); subclasses give `branch` and `shortcut`.

    branch_scale: a plain number that training may set for one call. With 0 the branch is not
    computed (nor are its running statistics updated), with 1 nothing is multiplied. Stochastic depth sets 0
    or 1/p, so that the expected value is right and evaluation needs no change.
    """

    branch_scale: float = 1.0

    def branch(self, features: Tensor) -> Tensor:
        """The residual that the block adds, [n, C', H', W'] from features [n, C, H, W]."""
        raise NotImplementedError

    def shortcut(self, features: Tensor) -> Tensor:
        """The features that pass around the branch, of its output's shape."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        around = self.shortcut(features)
        if self.branch_scale == 0:
            return functional.relu(around)
        inner = self.branch(features)
        if self.branch_scale != 1:
            inner = inner * self.branch_scale
        return functional.relu(inner + around)


class PaddedShortcut(nn.Module):
    """A shortcut without parameters: subsample, and pad the new channels with zeros on both sides.

    Option A of He et al., Deep Residual Learning for Image Recognition, 2016, section 4.1.
    """

    def __init__(self, outputs: int, stride: int):
        super().__init__()
        self.outputs = outputs
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        return self.padded(features, self.outputs)

    def padded(self, features: Tensor, outputs: int) -> Tensor:
        """The features [n, C, H, W] subsampled and with `outputs` channels."""
        features = features[:, :, :: self.stride, :: self.stride]
        new = outputs - features.shape[1]
        return functional.pad(features, (0, 0, 0, 0, new // 2, new - new // 2)) if new else features
