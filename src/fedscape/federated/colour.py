"""Random brightness, contrast and saturation of each image: torchvision's ColorJitter without hue.

Each of the three mixes an image, in the share of its factor, with another: with black, with the mean of its
grey levels, with its grey levels; a factor above 1 leads away from it. Each image has an order of its own.
"""

from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from fedscape.errors import FedscapeError

ORDERS = list(permutations(range(3)))
"""Orders of brightness (0), contrast (1) and saturation (2)."""
GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in a grey level."""


def jitters(amount: float, generator: np.random.Generator, samples: int) -> dict[str, np.ndarray]:
    """Factors and orders of `samples` images.

    colour: float32 [samples, 3], of brightness, contrast and saturation, uniform in 1 - amount to 1 + amount.
    colour_order: int64 [samples], the index in `ORDERS`.
    """
    uniform = generator.random((samples, 4))
    return {
        "colour": (1 + amount * (2 * uniform[:, :3] - 1)).astype(np.float32),
        "colour_order": (uniform[:, 3] * len(ORDERS)).astype(np.int64),
    }


def jittered(images: Tensor, factors: Tensor, orders: Tensor) -> Tensor:
    """Images [n, C, H, W] from 0 to 1 changed as `jitters` drew, and cut off at 0 and 1 after each change."""
    if images.shape[1] not in (1, 3):
        raise FedscapeError(
            f"augmentation.colour: is for images of 1 or 3 channels, these have {images.shape[1]}"
        )
    changes = torch.tensor(ORDERS, device=images.device)[orders]  # [n, 3]
    for change in changes.T:
        factor = factors.gather(1, change[:, None])[:, :, None, None]
        change = change[:, None, None, None]
        grey = _grey(images)
        other = torch.where(change == 1, grey.mean(dim=(2, 3), keepdim=True), grey)
        other = other * (change != 0)
        images = (factor * images + (1 - factor) * other).clamp(0, 1)
    return images


def _grey(images: Tensor) -> Tensor:
    """Grey levels [n, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.split(1, dim=1)
    return GREY[0] * red + GREY[1] * green + GREY[2] * blue
