"""Arrays of your own in one `.npz` of NumPy's: train and test images with their labels.

`inputs` [n, C, H, W] with `labels` [n] from 0 are to train on, `test_inputs` and `test_labels` to test on.
Images of uint8 are normalised as any others. Floating ones are taken as they are: normalised already, as your
own loop feeds them to a network; no augmentation takes these. `clients` [n], if it is there, is the number of
the client that has each train sample, for the partition scheme `natural`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedscape.data.storage import IMAGE, Inputs, Raw
from fedscape.errors import FedscapeError
from fedscape.files import reading


@dataclass(frozen=True)
class Settings:
    """The file, and how many classes there are."""

    file: str  # an .npz, relative to data_root or absolute
    classes: int | None = None  # that networks tell apart; null: as many as labels have

    def __post_init__(self):
        if not self.file.endswith(".npz"):
            raise ValueError(f"file must be an .npz, got {self.file!r}")
        if self.classes is not None and self.classes < 2:
            raise ValueError(f"classes must be >= 2, got {self.classes}")


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read the file; an array of another shape or type is named."""
    path = data_root / settings.file
    if not path.is_file():
        raise FedscapeError(f"{name}: {path} not found")
    with reading(path, ".npz of arrays", "save it again with numpy.savez"), np.load(path) as file:
        arrays = {key: file[key] for key in _KEYS if key in file}
    for key in _KEYS[:-1]:
        if key not in arrays:
            raise FedscapeError(f"{name}: {path}: no array '{key}'; expected {', '.join(_KEYS[:-1])}")
    inputs = {key: _images(arrays[key], f"{name}: {path}: {key}") for key in ("inputs", "test_inputs")}
    if inputs["inputs"].shape[1:] != inputs["test_inputs"].shape[1:]:
        raise FedscapeError(f"{name}: {path}: inputs and test_inputs have other shapes")
    if inputs["inputs"].dtype != inputs["test_inputs"].dtype:
        raise FedscapeError(f"{name}: {path}: inputs and test_inputs are of other types")
    labels = {
        key: _whole(arrays[key], len(arrays[of]), f"{name}: {path}: {key}")
        for key, of in (("labels", "inputs"), ("test_labels", "test_inputs"), ("clients", "inputs"))
        if key in arrays
    }
    most = 1 + max(int(labels[key].max(initial=0)) for key in ("labels", "test_labels"))
    if settings.classes is not None and most > settings.classes:
        raise FedscapeError(f"{name}: {path}: a label is {most - 1}, of {settings.classes} classes from 0")
    return Raw(
        classes=tuple(map(str, range(settings.classes or most))),
        train_inputs=Inputs.of(inputs["inputs"]),
        train_labels=labels["labels"],
        test_inputs=Inputs.of(inputs["test_inputs"]),
        test_labels=labels["test_labels"],
        train_clients=labels.get("clients"),
        normalised=inputs["inputs"].dtype == np.float32,
        sources={settings.file: hashlib.md5(path.read_bytes()).hexdigest()},
    )


_KEYS = ("inputs", "labels", "test_inputs", "test_labels", "clients")
_LARGEST = np.iinfo(np.int32).max  # prepared data sets hold clients as int32


def _images(array: np.ndarray, where: str) -> np.ndarray:
    """Images as uint8, or as float32 if they are floating."""
    if array.ndim != 1 + IMAGE:
        raise FedscapeError(f"{where} has shape {array.shape}, expected [samples, channels, height, width]")
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise FedscapeError(f"{where} is {array.dtype}, expected uint8, or floating and normalised already")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise FedscapeError(f"{where}: a number is NaN or infinite, or too large for float32")
    return array


def _whole(array: np.ndarray, samples: int, where: str) -> np.ndarray:
    """Labels, or numbers of clients: a whole number from 0 for each sample."""
    if array.shape != (samples,) or not np.issubdtype(array.dtype, np.integer):
        raise FedscapeError(f"{where} is {array.dtype} {array.shape}, expected whole numbers ({samples},)")
    if array.min(initial=0) < 0:
        raise FedscapeError(f"{where}: {array.min()} is below 0")
    if array.max(initial=0) > _LARGEST:
        raise FedscapeError(f"{where}: {array.max()} is above {_LARGEST}")
    return array.astype(np.int64)
