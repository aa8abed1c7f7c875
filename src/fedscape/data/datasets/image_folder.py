"""Any folder of class folders of images, for example Tiny-ImageNet at 32 x 32.

``<folder>/<class>/**/<image>``: classes in sorted order, images converted to RGB and resized to a square by
box averaging without keeping the aspect ratio, as the downsampled ImageNet was (Chrabaszcz et al., arXiv
1707.08819). The test images are a fixed stratified draw.

With `shorter_side` images keep their ratio: the shorter side gets that many pixels (bilinear), and the square
in the middle is kept. Evaluations show the `size` pixels in the middle of it, so that they see what
torchvision's Resize and CenterCrop give; a method's `resized_crop` takes its parts from the whole square.
That is not RandomResizedCrop of the whole image: what lies outside the square is in no part, and a small part
is enlarged from fewer pixels.

With `classes` only that number of class folders is used, drawn by `classes_seed`. ImageNet-200 of the
FedAlign study is 200 random classes of ImageNet-1k: place its training images, `<class>/<image>` as they are
distributed, under data_root, and declare in config/config.yaml::

    datasets:
      imagenet-200: {kind: image-folder, folder: imagenet/train, size: 224, shorter_side: 256,
                     test_fraction: 0.04, classes: 200}

Then about 50 of the at most 1,300 images of each class are for testing, as many as ImageNet-1k has for
validation, and the prepared images take at most 51 GB.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fedscape.data.holdout import held_out
from fedscape.data.storage import BLOCK, Inputs, Raw
from fedscape.errors import FedscapeError
from fedscape.jobs.streams import stream

MOST_PIXELS = 2**26  # of an image as it lies in the folder: 200 MB while it is decoded
BLOCK_BYTES = 2**27  # of images that are in memory together
SPLIT_SEED = 0  # the test images belong to the data set, not to a run's seed
SUFFIXES = {".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp", ".gif"}


@dataclass(frozen=True)
class Settings:
    """Where the images are and what becomes of them."""

    folder: str  # folder of class folders, relative to data_root or absolute
    size: int = 32  # pixels; height and width of the images as networks are shown them
    # pixels of an image's shorter side, of whose middle `size` are shown; null: images are squeezed to `size`
    shorter_side: int | None = None
    test_fraction: float = 0.1  # share of each class that becomes the test set
    classes: int | None = None  # class folders to use, drawn at random; null: all
    classes_seed: int = 0  # what the draw of the classes depends on, not a run's seed

    @property
    def stored(self) -> int:
        """Pixels; height and width of the prepared images."""
        return self.shorter_side or self.size

    def __post_init__(self):
        if not self.folder:
            raise ValueError("folder must name a folder of class folders, got ''")
        if not 1 <= self.size <= 4096:  # 50 MB an image, more than any model here is trained on
            raise ValueError(f"size must be >= 1 and <= 4096, got {self.size}")
        if self.shorter_side is not None:
            surplus = self.shorter_side - self.size
            if surplus < 0 or surplus % 2 or self.shorter_side > 4096:
                raise ValueError(
                    f"shorter_side must be size ({self.size}) or an even number of pixels more, and <= 4096, "
                    f"got {self.shorter_side}"
                )
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction must be > 0 and < 1, got {self.test_fraction}")
        if self.classes is not None and self.classes < 2:
            raise ValueError(f"classes must be >= 2 or null, got {self.classes}")
        if self.classes_seed < 0:
            raise ValueError(f"classes_seed must be >= 0, got {self.classes_seed}")


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """List the images below ``data_root/settings.folder``; they are decoded block by block while written.

    The md5 in `sources` is of the sorted list of paths and file sizes, so that no image is read twice.
    """
    folder = data_root / settings.folder
    if not folder.is_dir():
        raise FedscapeError(
            f"{name}: folder {folder} not found; place it there, or set data_root or the data set's `folder`"
        )
    class_folders = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if not class_folders:
        raise FedscapeError(f"{name}: {folder} holds no class folders (<class>/<image>)")
    if settings.classes is not None:
        class_folders = _drawn(class_folders, settings.classes, settings.classes_seed, f"{name}: {folder}")
    files: list[Path] = []
    labels: list[int] = []
    for label, class_folder in enumerate(class_folders):
        images = sorted(path for path in class_folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not images:
            raise FedscapeError(f"{name}: {class_folder} holds no image ({', '.join(sorted(SUFFIXES))})")
        for path in images:
            if not path.is_file():
                raise FedscapeError(f"{name}: {path} is no file, or a link to none; remove it")
        files += images
        labels += [label] * len(images)

    all_labels = np.asarray(labels, dtype=np.int64)
    test = held_out(all_labels, settings.test_fraction, stream(SPLIT_SEED, "image-folder"))
    if not test.any():
        raise FedscapeError(
            f"{name}: test_fraction {settings.test_fraction} of the {len(files)} images in {folder}, "
            "rounded per class, leaves no test image; raise it"
        )
    listing = "".join(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n" for path in files)
    return Raw(
        classes=tuple(path.name for path in class_folders),
        train_inputs=_images([files[i] for i in np.flatnonzero(~test)], settings, name),
        train_labels=all_labels[~test],
        test_inputs=_images([files[i] for i in np.flatnonzero(test)], settings, name),
        test_labels=all_labels[test],
        border=(settings.stored - settings.size) // 2,
        sources={settings.folder: hashlib.md5(os.fsencode(listing)).hexdigest()},
    )


def _drawn(folders: Sequence[Path], count: int, seed: int, where: str) -> list[Path]:
    """`count` of the folders in their order; a larger draw of the same seed contains a smaller one."""
    if count > len(folders):
        raise FedscapeError(f"{where} holds {len(folders)} class folders, fewer than classes: {count}")
    drawn = stream(seed, "classes").permutation(len(folders))[:count]
    return [folders[i] for i in sorted(drawn)]


def _images(files: Sequence[Path], settings: Settings, name: str) -> Inputs:
    size = settings.stored
    block_size = min(BLOCK, max(1, BLOCK_BYTES // (3 * size * size)))

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(files), block_size):
            yield np.stack([_square(path, settings, name) for path in files[start : start + block_size]])

    return Inputs(len(files), (3, size, size), blocks)


def _square(path: Path, settings: Settings, name: str) -> np.ndarray:
    """One image as it is stored: uint8 [3, stored, stored]."""
    image, size = _decode(path, name), settings.stored
    if settings.shorter_side is not None:
        image = _middle(image, size, path)
    elif image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BOX)
    return np.asarray(image).transpose(2, 0, 1)


def _decode(path: Path, name: str) -> Image.Image:
    """One image in RGB."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, at most {MOST_PIXELS} are decoded")
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"mode {image.mode}: more than 8 bits a channel would be clipped")
            return image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise errors of many types
        reason = " ".join(str(error).split())
        raise FedscapeError(f"{name}: cannot read image {path} ({reason}); replace or remove it") from error


def _middle(image: Image.Image, size: int, path: Path) -> Image.Image:
    """The square in the middle of the image, whose shorter side becomes `size`."""
    shorter = min(image.size)
    width, height = (int(size * side / shorter) for side in image.size)
    if width * height > MOST_PIXELS:
        raise FedscapeError(
            f"{path}: would become {width} x {height} pixels by shorter_side {size}, at most {MOST_PIXELS} "
            "are resized; replace or remove it"
        )
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))
