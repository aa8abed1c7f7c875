"""Down-sampled ImageNet: 1,281,167 train and 50,000 test images 3 x 32 x 32 of 1,000 classes (Chrabaszcz,
Loshchilov & Hutter, A Downsampled Variant of ImageNet as an Alternative to the CIFAR Datasets, 2017).

Of the public files those in NumPy's format are read, unpacked from ``Imagenet32_train_npz.zip`` and
``Imagenet32_val_npz.zip``. The pickled ones are not, since a pickle is a program.
"""

import hashlib
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from fedscape.data.storage import BLOCK, Inputs, Raw
from fedscape.errors import FedscapeError
from fedscape.files import reading

# Known before the files are read: a study that asks for more is refused at once.
TRAIN_SAMPLES = 1_281_167
TEST_SAMPLES = 50_000

SHAPE = (3, 32, 32)
CLASSES = 1000
TRAIN = tuple(f"train_data_batch_{number}.npz" for number in range(1, 11))
TEST = ("val_data.npz",)


@dataclass(frozen=True)
class Settings:
    """Where the files are."""

    folder: str = "imagenet-32"  # folder of the .npz files, relative to data_root or absolute


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read ``train_data_batch_1.npz`` to ``..._10.npz`` and ``val_data.npz``, images block by block.

    The classes are called by the authors' numbers, 1 to 1000, and labels begin at 0. Raises FedscapeError
    naming the file that is missing, damaged or not ImageNet-32's.
    """
    folder = data_root / settings.folder
    for file in (*TRAIN, *TEST):
        if not (folder / file).is_file():
            raise FedscapeError(
                f"{name}: {folder / file} not found; get Imagenet32_train_npz.zip and Imagenet32_val_npz.zip "
                f"from image-net.org and unpack them in {folder}"
            )
    train, test = (_split([folder / file for file in files], name) for files in (TRAIN, TEST))
    return Raw(
        classes=tuple(str(number) for number in range(1, CLASSES + 1)),
        train_inputs=train[0],
        train_labels=train[1],
        test_inputs=test[0],
        test_labels=test[1],
        sources={f"{settings.folder}/{file}": _md5(folder / file) for file in (*TRAIN, *TEST)},
    )


def _split(files: list[Path], name: str) -> tuple[Inputs, np.ndarray]:
    labels = [_labels(file, name) for file in files]

    def blocks() -> Iterator[np.ndarray]:
        for file, file_labels in zip(files, labels, strict=True):
            yield from _images(file, len(file_labels))

    all_labels = np.concatenate(labels)
    return Inputs(len(all_labels), SHAPE, blocks), all_labels


def _labels(file: Path, name: str) -> np.ndarray:
    """Labels int64 [n] from 0 of the images in a file."""
    with _member(file, "labels.npy") as member:
        shape, dtype = _header(member)
        if len(shape) != 1 or not 0 < shape[0] <= TRAIN_SAMPLES or dtype.kind not in "iu":
            raise ValueError(f"its labels are {dtype} {shape}, wanted whole numbers, one an image")
        labels = np.frombuffer(_read_exactly(member, shape[0] * dtype.itemsize), dtype).astype(np.int64) - 1
    wrong = labels[(labels < 0) | (labels >= CLASSES)]
    if len(wrong):
        raise FedscapeError(f"{name}: {file}: label {wrong[0] + 1}, allowed are 1 to {CLASSES}")
    return labels


def _images(file: Path, count: int) -> Iterator[np.ndarray]:
    """The images of a file, uint8 [b, *SHAPE]; it is unpacked as it is read, never as a whole."""
    values = math.prod(SHAPE)
    with _member(file, "data.npy") as member:
        shape, dtype = _header(member)
        if shape != (count, values) or dtype != np.uint8:
            raise ValueError(f"its images are {dtype} {shape}, wanted uint8 {(count, values)}")
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            yield np.frombuffer(_read_exactly(member, size * values), np.uint8).reshape(size, *SHAPE)


@contextmanager
def _member(file: Path, name: str) -> Iterator[IO[bytes]]:
    """An array of an .npz, open to be read; any error is one line that names the file."""
    with (
        reading(file, "file of ImageNet-32", "get it again"),
        zipfile.ZipFile(file) as archive,
        archive.open(name) as member,
    ):
        yield member


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array in NumPy's format, whose values come next; objects would be pickles."""
    version = np.lib.format.read_magic(member)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an array in version {version} of NumPy's format")
    shape, by_column, dtype = readers[version](member)
    if (by_column and len(shape) > 1) or dtype.hasobject:
        raise ValueError("an array by columns or of objects")
    return shape, dtype


def _read_exactly(member: IO[bytes], size: int) -> bytes:
    content = member.read(size)
    if len(content) < size:
        raise ValueError("it is cut off")
    return content


def _md5(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "md5").hexdigest()
