"""Prepared data sets: six files in a folder, read through memory maps and shared by all jobs.

``dataset.json`` is written last, so a folder that has one is whole. It records the size and md5 of every
array: the size is compared on each opening, the md5 is for people who compare two machines.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fedscape.errors import FedscapeError
from fedscape.files import atomic, read_json, write_json

BLOCK = 1024  # images per block: 3 MB at 3 x 32 x 32, so that preparing any data set fits in little memory
LEVELS = 256  # values of a uint8


@dataclass(frozen=True)
class Images:
    """Images that arrive in blocks and need not fit in memory.

    blocks: a function that starts over and yields uint8 arrays [b, C, H, W], `count` images in all.
    """

    count: int
    shape: tuple[int, int, int]
    blocks: Callable[[], Iterator[np.ndarray]]

    @classmethod
    def of(cls, array: np.ndarray) -> "Images":
        """Wrap images that are in memory, uint8 [N, C, H, W]."""

        def blocks() -> Iterator[np.ndarray]:
            for start in range(0, len(array), BLOCK):
                yield array[start : start + BLOCK]

        return cls(len(array), tuple(array.shape[1:]), blocks)


@dataclass(frozen=True)
class Raw:
    """What a data set's plug-in hands over: images, labels 0 .. classes-1, and where they came from."""

    classes: tuple[str, ...]
    train_images: Images
    train_labels: np.ndarray  # [N]
    test_images: Images
    test_labels: np.ndarray  # [N]
    train_clients: np.ndarray | None = None  # [N] number of the natural client of each train image
    sources: dict[str, str] = field(default_factory=dict)  # file -> md5 (hexadecimal)


@dataclass(frozen=True)
class Dataset:
    """A prepared data set, open for reading."""

    name: str
    kind: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]  # (C, H, W)
    mean: tuple[float, ...]  # per channel, of the train images scaled to [0, 1]
    std: tuple[float, ...]  # likewise
    train_images: np.ndarray  # uint8 memory map [N, C, H, W]
    train_labels: np.ndarray  # int64 [N]
    train_clients: np.ndarray  # int32 [N], or [0] where the set has no natural clients
    test_images: np.ndarray  # uint8 memory map [M, C, H, W]
    test_labels: np.ndarray  # int64 [M]


def write_dataset(folder: str | Path, name: str, kind: str, raw: Raw, settings: dict | None = None) -> None:
    """Write a prepared data set into `folder`; the same `raw` gives the same bytes.

    Raises FedscapeError where there is no image to train or to test on, or a channel is constant.
    """
    folder = Path(folder)
    description = folder / "dataset.json"
    _check(name, raw)
    description.unlink(missing_ok=True)  # while arrays are replaced, the folder is no data set
    clients = np.zeros(0) if raw.train_clients is None else raw.train_clients
    histogram = np.zeros((raw.train_images.shape[0], LEVELS), dtype=np.int64)
    files = {
        "train-images.npy": _write_images(folder / "train-images.npy", raw.train_images, histogram),
        "train-labels.npy": _write_array(folder / "train-labels.npy", raw.train_labels.astype(np.int64)),
        "train-clients.npy": _write_array(folder / "train-clients.npy", clients.astype(np.int32)),
        "test-images.npy": _write_images(folder / "test-images.npy", raw.test_images),
        "test-labels.npy": _write_array(folder / "test-labels.npy", raw.test_labels.astype(np.int64)),
    }
    mean, std = _mean_and_std(histogram)
    for channel, deviation in enumerate(std):
        if deviation == 0:
            raise FedscapeError(f"data set {name}: channel {channel} is the same in all train images")
    write_json(
        description,
        {
            "name": name,
            "kind": kind,
            "settings": settings or {},
            "classes": list(raw.classes),
            "shape": list(raw.train_images.shape),
            "train": raw.train_images.count,
            "test": raw.test_images.count,
            "natural_clients": len(np.unique(clients)),
            "mean": mean,
            "std": std,
            "sources": raw.sources,
            "files": files,
        },
    )


def open_dataset(folder: str | Path) -> Dataset:
    """Open a prepared data set; a missing, truncated or foreign file is named."""
    folder = Path(folder)
    description = folder / "dataset.json"
    if not description.is_file():
        raise FedscapeError(f"{description}: not found, so {folder} holds no whole prepared data set")
    recorded = read_json(description)
    try:
        shape = tuple(recorded["shape"])
        train, test = recorded["train"], recorded["test"]
        clients = train if recorded["natural_clients"] else 0
        sizes = {name: file["bytes"] for name, file in recorded["files"].items()}
        wanted = {
            "train_images": (np.uint8, (train, *shape)),
            "train_labels": (np.int64, (train,)),
            "train_clients": (np.int32, (clients,)),
            "test_images": (np.uint8, (test, *shape)),
            "test_labels": (np.int64, (test,)),
        }
        arrays = {}
        for key, (dtype, dimensions) in wanted.items():
            file_name = f"{key.replace('_', '-')}.npy"
            arrays[key] = _open_array(folder / file_name, sizes[file_name], dtype, dimensions)
        return Dataset(
            name=recorded["name"],
            kind=recorded["kind"],
            classes=tuple(recorded["classes"]),
            shape=shape,
            mean=tuple(recorded["mean"]),
            std=tuple(recorded["std"]),
            **arrays,
        )
    except KeyError as error:
        raise FedscapeError(f"{description}: key {error} is missing; prepare the data set again") from error


def _check(name: str, raw: Raw) -> None:
    """No images is the user's mistake; columns that do not fit together are the plug-in's."""
    for split, images, labels in (
        ("train", raw.train_images, raw.train_labels),
        ("test", raw.test_images, raw.test_labels),
    ):
        if images.count == 0:
            raise FedscapeError(f"data set {name}: no {split} images")
        if len(labels) != images.count:
            raise ValueError(f"data set {name}: {images.count} {split} images but {len(labels)} labels")
        if labels.min() < 0 or labels.max() >= len(raw.classes):
            raise ValueError(f"data set {name}: {split} labels outside 0..{len(raw.classes) - 1}")
    if raw.train_clients is not None and len(raw.train_clients) != raw.train_images.count:
        raise ValueError(
            f"data set {name}: {raw.train_images.count} images but {len(raw.train_clients)} clients"
        )


def _write_images(path: Path, images: Images, histogram: np.ndarray | None = None) -> dict:
    """Stream the images into a .npy file; add their values to `histogram` [C, 256] where one is given."""
    shape = (images.count, *images.shape)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    written = 0
    with atomic(path) as temporary:
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in images.blocks():
                if block.dtype != np.uint8 or block.shape[1:] != images.shape:
                    raise ValueError(f"{path}: block of {block.dtype} {block.shape}, wanted uint8 {shape}")
                file.write(np.ascontiguousarray(block).data)
                written += len(block)
                if histogram is not None:
                    for channel, counts in enumerate(histogram):
                        counts += np.bincount(block[:, channel].ravel(), minlength=LEVELS)
        if written != images.count:
            raise ValueError(f"{path}: {written} images came, {images.count} were announced")
        return _fingerprint(temporary)


def _write_array(path: Path, array: np.ndarray) -> dict:
    with atomic(path) as temporary:
        with temporary.open("wb") as file:  # np.save would add .npy to the temporary name
            np.save(file, array)
        return _fingerprint(temporary)


def _fingerprint(path: Path) -> dict:
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    return {"bytes": path.stat().st_size, "md5": md5}


def _open_array(path: Path, size: int, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """Images (4 dimensions) as a read-only memory map, short columns in memory."""
    if not path.is_file():
        raise FedscapeError(f"{path}: not found; prepare the data set again")
    found = path.stat().st_size
    if found != size:
        raise FedscapeError(
            f"{path}: truncated or foreign, {found} bytes instead of {size}; prepare it again"
        )
    try:
        array = np.load(path, mmap_mode="r" if len(shape) == 4 else None, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FedscapeError(f"{path}: not a .npy array ({error}); prepare the data set again") from error
    if array.dtype != dtype or array.shape != shape:
        raise FedscapeError(f"{path}: {array.dtype} {array.shape} instead of {np.dtype(dtype)} {shape}")
    return array


def _mean_and_std(histogram: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and (population) standard deviation per channel, of values scaled to [0, 1].

    From counts of the 256 possible values [C, 256]: exact integer sums, so neither the size nor the order
    of the blocks matters, and no float32 sum over 10^8 pixels can drift.
    """
    mean, std = [], []
    for counts in histogram:
        total = int(counts.sum())
        first = sum(value * int(count) for value, count in enumerate(counts))
        second = sum(value * value * int(count) for value, count in enumerate(counts))
        mean.append(first / total / (LEVELS - 1))
        std.append(math.sqrt(total * second - first * first) / total / (LEVELS - 1))
    return mean, std
