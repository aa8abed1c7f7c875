"""Prepared data sets: six files in a folder, read through memory maps and shared by all jobs.

``dataset.json`` is written last, so a folder that has one is whole. It records the size, CRC-32 and md5 of
every array. Size and CRC-32 are compared once per process, when the data set is first opened; the md5 is for
people who compare two machines. Arrays above 1 GiB are read only if they were touched after dataset.json was
written (edited, copied, restored): damage by the disk itself goes unnoticed in them.
"""

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fedscape.data.checksums import PREPARE, checksum, text_checksum, verify
from fedscape.errors import FedscapeError
from fedscape.files import atomic, read_json, reading, remove_leftovers, write_json

BLOCK = 1024  # samples per block: 3 MB at 3 x 32 x 32, so that preparing any data set fits in little memory
IMAGE = 3  # dimensions of an image's shape; a sequence of tokens has one
LEVELS = 256  # values of a uint8


@dataclass(frozen=True)
class Inputs:
    """A split's inputs, in blocks that need not fit in memory together.

    blocks: a function that yields arrays [b, *shape] from the start, `count` samples in all: images as
        uint8, or as float32 if they are normalised already, shape (C, H, W), or sequences of tokens as int32,
        shape (T,), each from 0 to classes - 1.
    """

    count: int
    shape: tuple[int, ...]
    blocks: Callable[[], Iterator[np.ndarray]]

    @classmethod
    def of(cls, array: np.ndarray) -> "Inputs":
        """Wrap inputs that are in memory, [N, *shape]."""

        def blocks() -> Iterator[np.ndarray]:
            for start in range(0, len(array), BLOCK):
                yield array[start : start + BLOCK]

        return cls(len(array), tuple(array.shape[1:]), blocks)


@dataclass(frozen=True)
class Raw:
    """A data set as its plug-in loads it: inputs, labels 0 .. classes-1, and the files that they come from.

    An image has one label, a sequence one for each of its tokens: the token that follows.
    """

    classes: tuple[str, ...]  # of images, or the vocabulary
    train_inputs: Inputs
    train_labels: np.ndarray  # [N], or [N, T]
    test_inputs: Inputs
    test_labels: np.ndarray  # [M], or [M, T]
    train_clients: np.ndarray | None = None  # [N] number of the natural client of each train sample
    border: int = 0  # pixels at each side of the images that only random crops see
    normalised: bool = False  # whether images are float32, as networks are shown them
    # of each channel of pixels scaled to [0, 1]; None: those of the train images
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    sources: dict[str, str] = field(default_factory=dict)  # file -> md5 (hexadecimal)


@dataclass(frozen=True)
class Dataset:
    """A prepared data set, open for reading."""

    name: str
    kind: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]  # (C, H, W) of an image as networks are shown it, (T,) of a sequence
    border: int  # pixels at each side of a stored image that only random crops see
    # per channel, of pixels scaled to [0, 1]: those of the train images, or the user's; empty for sequences,
    # and for images that are normalised already
    mean: tuple[float, ...]
    std: tuple[float, ...]
    # memory map [N, *shape]: uint8 images with their border, float32 images as they are, or int32 tokens
    train_inputs: np.ndarray
    train_labels: np.ndarray  # int64 [N] or [N, T]
    train_clients: np.ndarray  # int32 [N], or [0] where the set has no natural clients
    test_inputs: np.ndarray  # memory map [M, *shape]
    test_labels: np.ndarray  # int64 [M] or [M, T]


def write_dataset(folder: str | Path, name: str, kind: str, raw: Raw, settings: dict | None = None) -> None:
    """Write a prepared data set into `folder`; the same `raw` gives the same bytes.

    Raises FedscapeError where there is no sample to train or to test on, or a channel is constant.
    """
    folder = Path(folder)
    description = folder / "dataset.json"
    _check(name, raw)
    description.unlink(missing_ok=True)  # while arrays are replaced, the folder is no data set
    clients = np.zeros(0) if raw.train_clients is None else raw.train_clients
    channels = raw.train_inputs.shape[0] if len(raw.train_inputs.shape) == IMAGE else 0
    histogram = None if raw.normalised else np.zeros((channels, LEVELS), dtype=np.int64)
    dtype = _dtype(raw.train_inputs.shape, raw.normalised)
    files = {
        "train-inputs.npy": _write_inputs(folder / "train-inputs.npy", raw.train_inputs, dtype, histogram),
        "train-labels.npy": _write_array(folder / "train-labels.npy", raw.train_labels.astype(np.int64)),
        "train-clients.npy": _write_array(folder / "train-clients.npy", clients.astype(np.int32)),
        "test-inputs.npy": _write_inputs(folder / "test-inputs.npy", raw.test_inputs, dtype),
        "test-labels.npy": _write_array(folder / "test-labels.npy", raw.test_labels.astype(np.int64)),
    }
    mean, std = raw.normalisation or _mean_and_std([] if histogram is None else histogram)
    for channel, deviation in enumerate(std):
        if deviation == 0:
            raise FedscapeError(f"data set {name}: channel {channel} is the same in all train images")
    content = {
        "name": name,
        "kind": kind,
        "settings": settings or {},
        "classes": list(raw.classes),
        "shape": _bordered(raw.train_inputs.shape, -raw.border),
        "border": raw.border,
        **({"normalised": True} if raw.normalised else {}),
        "train": raw.train_inputs.count,
        "test": raw.test_inputs.count,
        "natural_clients": len(np.unique(clients)),
        "mean": list(mean),
        "std": list(std),
        "sources": raw.sources,
        "files": files,
    }
    write_json(description, {**content, "crc32": text_checksum(content)})


def open_dataset(folder: str | Path) -> Dataset:
    """Open a prepared data set; a missing, truncated, altered or foreign file is named."""
    folder = Path(folder)
    description = folder / "dataset.json"
    if not description.is_file():
        raise FedscapeError(f"{description}: not found, so {folder} holds no whole prepared data set")
    recorded = read_json(description)
    with reading(description, "description of a data set", PREPARE):
        shape, border = tuple(recorded["shape"]), recorded["border"]
        stored = tuple(_bordered(shape, border))
        train, test = recorded["train"], recorded["test"]
        clients = train if recorded["natural_clients"] else 0
        positions = () if len(shape) == IMAGE else shape
        inputs_dtype = _dtype(shape, recorded.get("normalised", False))
        files = {name: (file["bytes"], file["crc32"]) for name, file in recorded["files"].items()}
        expected = {
            "train_inputs": (inputs_dtype, (train, *stored)),
            "train_labels": (np.int64, (train, *positions)),
            "train_clients": (np.int32, (clients,)),
            "test_inputs": (inputs_dtype, (test, *stored)),
            "test_labels": (np.int64, (test, *positions)),
        }
        arrays = {}
        for key, (dtype, dimensions) in expected.items():
            file_name = f"{key.replace('_', '-')}.npy"
            arrays[key] = _open_array(folder / file_name, files[file_name][0], dtype, dimensions)
        dataset = Dataset(
            name=recorded["name"],
            kind=recorded["kind"],
            classes=tuple(recorded["classes"]),
            shape=shape,
            border=border,
            mean=tuple(map(float, recorded["mean"])),
            std=tuple(map(float, recorded["std"])),
            **arrays,
        )
        channels = shape[0] if inputs_dtype is np.uint8 else 0
        if (len(dataset.mean), len(dataset.std)) != (channels, channels):
            raise ValueError(f"mean and std are not of {channels} channels")
    for split, labels in (("train", dataset.train_labels), ("test", dataset.test_labels)):
        # Labels of sequences are not checked: they may be larger than memory.
        if labels.ndim == 1 and not (
            len(labels) and 0 <= labels.min() <= labels.max() < len(dataset.classes)
        ):
            raise FedscapeError(
                f"{folder / split}-labels.npy: labels outside 0 to {len(dataset.classes) - 1}; {PREPARE}"
            )
    if recorded.pop("crc32", None) != text_checksum(recorded):
        raise FedscapeError(f"{description}: altered since it was written; {PREPARE}")
    written = description.stat().st_mtime_ns
    for name, (_, recorded_checksum) in files.items():
        verify(folder / name, recorded_checksum, written)
    return dataset


def _check(name: str, raw: Raw) -> None:
    """Refuse a set without samples, the user's mistake, and columns that do not match, the plug-in's."""
    for split, inputs, labels in (
        ("train", raw.train_inputs, raw.train_labels),
        ("test", raw.test_inputs, raw.test_labels),
    ):
        if inputs.count == 0:
            raise FedscapeError(f"data set {name}: no {split} samples")
        expected = (inputs.count,) if len(inputs.shape) == IMAGE else (inputs.count, *inputs.shape)
        if labels.shape != expected:
            raise ValueError(f"data set {name}: {split} labels of shape {labels.shape}, wanted {expected}")
        if labels.min() < 0 or labels.max() >= len(raw.classes):
            raise ValueError(f"data set {name}: {split} labels outside 0..{len(raw.classes) - 1}")
    for class_name in raw.classes:
        try:
            class_name.encode("utf-8")
        except UnicodeEncodeError as error:  # half a character: it can stand in no CSV
            raise FedscapeError(f"data set {name}: the class {class_name!r} is no text in UTF-8") from error
    if raw.train_clients is not None and len(raw.train_clients) != raw.train_inputs.count:
        raise ValueError(
            f"data set {name}: {raw.train_inputs.count} samples but {len(raw.train_clients)} clients"
        )


def _bordered(shape: tuple[int, ...], border: int) -> list[int]:
    """The shape of an image with this many pixels more at each side; a sequence has no border."""
    return [*shape[:1], *(side + 2 * border for side in shape[1:])] if border else list(shape)


def _dtype(shape: tuple[int, ...], normalised: bool) -> type:
    """Type of the stored inputs."""
    return np.int32 if len(shape) != IMAGE else np.float32 if normalised else np.uint8


def _write_inputs(path: Path, inputs: Inputs, kind: type, histogram: np.ndarray | None = None) -> dict:
    """Stream the inputs into a .npy file; add images' values to `histogram` [C, 256] where one is given."""
    dtype = np.dtype(kind)
    shape = (inputs.count, *inputs.shape)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    written = 0
    remove_leftovers(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, free = dtype.itemsize * math.prod(shape), shutil.disk_usage(path.parent).free
    if needed > free:
        raise FedscapeError(f"{path}: takes {needed} bytes, {free} are free there")
    with atomic(path) as temporary:
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in inputs.blocks():
                if block.dtype != dtype or block.shape[1:] != inputs.shape:
                    raise ValueError(f"{path}: block of {block.dtype} {block.shape}, wanted {dtype} {shape}")
                file.write(np.ascontiguousarray(block).data)
                written += len(block)
                if histogram is not None:
                    for channel, counts in enumerate(histogram):
                        counts += np.bincount(block[:, channel].ravel(), minlength=LEVELS)
        if written != inputs.count:
            raise ValueError(f"{path}: {written} samples came, {inputs.count} were announced")
        return _fingerprint(temporary)


def _write_array(path: Path, array: np.ndarray) -> dict:
    remove_leftovers(path)
    with atomic(path) as temporary:
        with temporary.open("wb") as file:  # np.save would add .npy to the temporary name
            np.save(file, array)
        return _fingerprint(temporary)


def _fingerprint(path: Path) -> dict:
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    return {"bytes": path.stat().st_size, "crc32": checksum(path), "md5": md5}


def _open_array(path: Path, size: int, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """Inputs and labels of sequences as read-only memory maps, columns in memory."""
    if not path.is_file():
        raise FedscapeError(f"{path}: not found; {PREPARE}")
    held = path.stat().st_size
    if held != size:
        raise FedscapeError(f"{path}: truncated or foreign, {held} bytes instead of {size}; {PREPARE}")
    with reading(path, ".npy array", PREPARE):
        # Not np.load, which would take a zip or a pickle too, and leaves a file open that it finds broken. A
        # map refuses a shape that is larger than the file, for which there may be no memory.
        array = np.lib.format.open_memmap(path, mode="r")
        if len(shape) == 1:
            array = np.array(array)
    if array.dtype != dtype or array.shape != shape:
        difference = f"{array.dtype} {array.shape} instead of {np.dtype(dtype)} {shape}"
        raise FedscapeError(f"{path}: {difference}; {PREPARE}")
    return array


def _mean_and_std(histogram: Sequence[np.ndarray] | np.ndarray) -> tuple[list[float], list[float]]:
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
