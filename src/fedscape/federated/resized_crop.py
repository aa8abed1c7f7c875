"""A random part of each image, brought to one size: torchvision's RandomResizedCrop, a whole batch at a time.

A part is a rectangle of whole pixels. It is drawn on the host (`boxes`), so that a CPU and a GPU see
the same images; resizing is bilinear, and smoothed where pixels become fewer (torch's `antialias`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fedscape.settings.training import ResizedCrop

ATTEMPTS = 10
"""Rectangles that are drawn until one fits into the image; then its middle is taken."""


def boxes(
    settings: ResizedCrop, generator: np.random.Generator, samples: int, size: Sequence[int]
) -> np.ndarray:
    """A rectangle for each of `samples` images of height and width `size`: top, left, height, width.

    Returns int64 [samples, 4]. Area and logarithm of the ratio of a rectangle are uniform, and so is its
    position among those where it fits.
    """
    height, width = size
    uniform = generator.random((samples, 2 * ATTEMPTS + 2))
    low, high = settings.scale
    areas = height * width * (low + (high - low) * uniform[:, :ATTEMPTS])
    low, high = np.log(settings.ratio)
    ratios = np.exp(low + (high - low) * uniform[:, ATTEMPTS : 2 * ATTEMPTS])
    widths, heights = np.rint(np.sqrt(areas * ratios)), np.rint(np.sqrt(areas / ratios))
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first, rows = fits.argmax(axis=1), np.arange(samples)
    sides = np.stack([heights[rows, first], widths[rows, first]], axis=1)
    corners = np.floor(uniform[:, -2:] * (np.array(size) - sides + 1))
    rectangles = np.concatenate([corners, sides], axis=1).astype(np.int64)
    return np.where(fits.any(axis=1)[:, None], rectangles, _middle(settings, size))


def _middle(settings: ResizedCrop, size: Sequence[int]) -> list[int]:
    """The largest rectangle in the image's middle whose ratio is allowed."""
    height, width = size
    low, high = settings.ratio
    if width / height < low:
        height = max(1, round(width / low))
    elif width / height > high:
        width = max(1, round(height * high))
    return [(size[0] - height) // 2, (size[1] - width) // 2, height, width]


def resized(images: Tensor, boxes: Tensor, size: Sequence[int]) -> Tensor:
    """The parts `boxes` [n, 4] of images [n, C, H, W] at height and width `size`: float32 [n, C, *size]."""
    top, left, height, width = boxes.unbind(dim=1)
    rows = _weights(top, height, images.shape[2], size[0])
    columns = _weights(left, width, images.shape[3], size[1])
    narrow = images.flatten(1, 2) @ columns.transpose(1, 2)  # [n, C H, w]
    narrow = narrow.unflatten(1, images.shape[1:3]).transpose(1, 2).flatten(2)  # [n, H, C w]
    return (rows @ narrow).unflatten(2, (images.shape[1], size[1])).transpose(1, 2).contiguous()


def _weights(start: Tensor, length: Tensor, pixels: int, outputs: int) -> Tensor:
    """Weight of each of `pixels` along an axis in each of the `outputs`: float32 [n, outputs, pixels].

    A triangle around the middle of the output pixel's share of the part, as wide as that share, or as two of
    the image's pixels where shares are smaller; cut off at the ends of the part.
    """
    share = (length / outputs)[:, None, None]
    positions = torch.arange(pixels, device=start.device)[None, None] - start[:, None, None]
    middles = (torch.arange(outputs, device=start.device)[None, :, None] + 0.5) * share
    weights = (1 - (positions + 0.5 - middles).abs() / share.clamp_min(1)).clamp_min(0)
    weights = weights * ((positions >= 0) & (positions < length[:, None, None]))
    return weights / weights.sum(dim=2, keepdim=True)
