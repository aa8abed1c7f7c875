"""Random augmentation of training images, a whole batch at a time on the device that trains.

What is random comes from the host, so that a CPU and a GPU see the same images: `draw` makes a few numbers
for each sample, `augment` applies them before normalisation, in the order resized crop, resize, crop, flip,
rotation and zoom, brightness, colour. Each part does what torchvision's transform of its kind does to a
single image, but for brightness: there an amount is added to all values. ColorJitter, which multiplies them
by a factor, is `colour`.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fedscape.errors import FedscapeError
from fedscape.federated.colour import jittered, jitters
from fedscape.federated.resized_crop import boxes, resized
from fedscape.settings.training import Augmentation

PARTS = ("crop_y", "crop_x", "flip", "rotation", "scale", "brightness")
"""Random numbers of a sample. Each is drawn whether it is used or not, so none depends on other settings."""
PADDING = {"zero": "constant", "reflect": "reflect"}
"""Torch's names of the kinds of padding."""


def draw(
    settings: Augmentation, generator: np.random.Generator, samples: int, size: Sequence[int]
) -> dict[str, np.ndarray]:
    """The random numbers of `samples` images, [samples, ...] each, of those parts that are switched on.

    size: height and width of the images that `augment` is given. The first images of a longer batch are
    handed the same numbers.

    box: as `resized_crop.boxes` says. crop_y, crop_x: int64, where the window lies in the padded image, in
    pixels. flip: bool. rotation: float32, degrees counter-clockwise. scale: float32, zoom factor. brightness:
    float32, the amount added. colour, colour_order: as `colour.jitters` says.
    """
    return {**_drawn_apart(settings, generator, samples, size), **_drawn(settings, generator, samples)}


def _drawn_apart(
    settings: Augmentation, generator: np.random.Generator, samples: int, size: Sequence[int]
) -> dict[str, np.ndarray]:
    """Parts that draw more than one number each, from streams of their own."""
    drawn: dict[str, np.ndarray] = {}
    if settings.resized_crop is None and not settings.colour:
        return drawn
    for_boxes, for_colour = generator.spawn(2)  # which leaves the generator's own numbers as they are
    if settings.resized_crop is not None:
        drawn["box"] = boxes(settings.resized_crop, for_boxes, samples, size)
    if settings.colour:
        drawn |= jitters(settings.colour, for_colour, samples)
    return drawn


def _drawn(settings: Augmentation, generator: np.random.Generator, samples: int) -> dict[str, np.ndarray]:
    """Those of `PARTS` that are switched on."""
    parts = _switched_on(settings)
    if not parts:
        return {}
    uniform = dict(zip(PARTS, generator.random((samples, len(PARTS))).T, strict=True))
    offsets = 2 * settings.crop + 1  # windows of the image's size along one axis of the padded image
    symmetric = {part: 2 * uniform[part] - 1 for part in ("rotation", "scale", "brightness")}
    drawn = {
        "crop_y": (uniform["crop_y"] * offsets).astype(np.int64),
        "crop_x": (uniform["crop_x"] * offsets).astype(np.int64),
        "flip": uniform["flip"] < settings.flip,
        "rotation": (settings.rotation * symmetric["rotation"]).astype(np.float32),
        "scale": (1 + settings.scale * symmetric["scale"]).astype(np.float32),
        "brightness": (settings.brightness * symmetric["brightness"]).astype(np.float32),
    }
    return {part: drawn[part] for part in parts}


def augment(
    images: Tensor, drawn: Mapping[str, Tensor], settings: Augmentation, size: Sequence[int] | None = None
) -> Tensor:
    """The images changed as `drawn` says; the arguments are not modified.

    images: float32 [n, C, H, W] from 0 to 1, and so is the result. drawn: what `draw` drew for them, on their
    device. size: height and width of the result, if a resized crop makes them differ from the images'. Raises
    FedscapeError where images are too small to be mirrored in the padding.
    """
    if "box" in drawn:
        images = resized(images, drawn["box"], size or images.shape[2:])
    if settings.resize is not None:
        images = _through_fewer_pixels(images, settings.resize)
    if "crop_y" in drawn or "flip" in drawn:
        images = _cropped_and_flipped(images, drawn, settings)
    if "rotation" in drawn or "scale" in drawn:
        images = _turned_and_zoomed(images, drawn)
    if "brightness" in drawn:
        images = (images + drawn["brightness"][:, None, None, None]).clamp(0, 1)
    if "colour" in drawn:
        images = jittered(images, drawn["colour"], drawn["colour_order"])
    return images


def changes_images(settings: Augmentation) -> bool:
    """Whether any part is switched on."""
    apart = settings.resized_crop is not None or bool(settings.colour)
    return apart or settings.resize is not None or bool(_switched_on(settings))


def _switched_on(settings: Augmentation) -> list[str]:
    amounts = (settings.crop, settings.crop, settings.flip, settings.rotation, settings.scale)
    return [part for part, amount in zip(PARTS, (*amounts, settings.brightness), strict=True) if amount]


def _through_fewer_pixels(images: Tensor, side: int) -> Tensor:
    """The images at `side` x `side` pixels and back at their size: bilinear, without aliasing."""
    small = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
    return functional.interpolate(small, images.shape[2:], mode="bilinear", antialias=True)


def _cropped_and_flipped(images: Tensor, drawn: Mapping[str, Tensor], settings: Augmentation) -> Tensor:
    """A window of each padded image, mirrored where its sample says so, in one look-up; exact."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device)[None]  # [1 or n, H], of the padded image
    columns = torch.arange(width, device=images.device)[None]  # [1 or n, W]
    if "flip" in drawn:
        columns = torch.where(drawn["flip"][:, None], width - 1 - columns, columns)
    if "crop_y" in drawn:
        if settings.fill == "reflect" and settings.crop >= min(height, width):
            raise FedscapeError(
                f"augmentation.crop: got {settings.crop}, but fill reflect can pad images of "
                f"{height} x {width} pixels by at most {min(height, width) - 1}"
            )
        rows, columns = rows + drawn["crop_y"][:, None], columns + drawn["crop_x"][:, None]
        images = functional.pad(images, [settings.crop] * 4, mode=PADDING[settings.fill])
    positions = rows[:, :, None] * images.shape[3] + columns[:, None, :]  # [n, H, W], in the flattened image
    flat = images.flatten(2)
    positions = positions.flatten(1)[:, None].expand(-1, flat.shape[1], -1)
    return flat.gather(2, positions).unflatten(2, (height, width))


def _turned_and_zoomed(images: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
    """Each image turned and zoomed about its centre, bilinear; pixels from outside of it are black."""
    like = drawn["rotation"] if "rotation" in drawn else drawn["scale"]
    angle = drawn["rotation"] * (math.pi / 180) if "rotation" in drawn else torch.zeros_like(like)
    zoom = drawn["scale"] if "scale" in drawn else torch.ones_like(like)
    # From a position in the result to one in the image, y downwards; both axes run from -1 to 1, so a
    # turn in pixels is squeezed by the ratio of the sides.
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    height, width = images.shape[2:]
    none = torch.zeros_like(cosine)
    first = torch.stack([cosine, -sine * (height / width), none], dim=1)
    second = torch.stack([sine * (width / height), cosine, none], dim=1)
    grid = functional.affine_grid(
        torch.stack([first, second], dim=1), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
