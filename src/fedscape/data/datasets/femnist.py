"""FEMNIST: handwritten digits and letters 1 x 28 x 28 of 62 classes, each writer a natural client.

``<folder>/train/*.json`` and ``<folder>/test/*.json``, as LEAF's ``data/femnist/preprocess.sh`` makes them
(Caldas et al., LEAF: A Benchmark for Federated Settings, arXiv 1812.01097; images of NIST's Special Database
19)::

    {"users": [id], "num_samples": [n], "user_data": {id: {"x": [[784 numbers]], "y": [0 to 61]}}}

LEAF divides bytes by 255, and the paper is 1 and the ink 0: the other way round than in MNIST. Each number
times 255, rounded to the nearest whole one, gives the byte back, and white stays the brightest: 255. All of
FEMNIST is 805,263 images of 3,550 writers; they take 630 MB of memory while they are prepared, beside one
json file.
"""

import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedscape.data.sources.leaf import User, leaf_files, leaf_users
from fedscape.data.storage import Inputs, Raw
from fedscape.errors import FedscapeError, reason

SIDE = 28  # pixels
BRIGHTEST = 255
CLASSES = tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase)  # as LEAF numbers them


@dataclass(frozen=True)
class Settings:
    """Where the images are."""

    folder: str = "femnist"  # folder with train/*.json and test/*.json, relative to data_root or absolute

    def __post_init__(self):
        if not self.folder:
            raise ValueError("folder must name a folder with train/*.json and test/*.json, got ''")


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read the files below ``data_root/settings.folder``; writers are numbered in the order of sorted ids."""
    folder = data_root / settings.folder
    sources: dict[str, str] = {}
    images, labels, writers = {}, {}, {}
    for split, paths in leaf_files(folder, name, "make them with LEAF's femnist/preprocess.sh").items():
        records: list[tuple[str, np.ndarray, np.ndarray]] = []  # writer, images, labels
        for path in paths:
            for user in leaf_users(path, name, sources, f"{settings.folder}/{split}/{path.name}"):
                records.append((user.id, _images(user), _labels(user)))
        if not records:
            raise FedscapeError(f"{name}: {folder}: no user has a sample in {split}")
        records.sort(
            key=lambda record: record[0]
        )  # stable: a writer's samples stay in the order of the files
        images[split] = [own for _, own, _ in records]
        labels[split] = np.concatenate([own for _, _, own in records])
        writers[split] = np.repeat([writer for writer, _, _ in records], [len(own) for _, own, _ in records])
    return Raw(
        classes=CLASSES,
        train_inputs=_inputs(images["train"]),
        train_labels=labels["train"],
        test_inputs=_inputs(images["test"]),
        test_labels=labels["test"],
        train_clients=np.unique(writers["train"], return_inverse=True)[1],
        sources=sources,
    )


def _inputs(by_writer: list[np.ndarray]) -> Inputs:
    """Writers' images as they are, one block each: not copied into one array."""

    def blocks() -> Iterator[np.ndarray]:
        yield from by_writer

    return Inputs(sum(map(len, by_writer)), (1, SIDE, SIDE), blocks)


def _images(user: User) -> np.ndarray:
    """A writer's images, uint8 [n, 1, 28, 28]."""
    requirement = f"lists of {SIDE * SIDE} numbers from 0 to 1 are wanted"
    try:
        shares = np.asarray(user.x, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:  # text, objects, lists of unequal lengths
        raise FedscapeError(f"{user.where}.x: {requirement} ({reason(error)})") from error
    if shares.shape != (len(user.x), SIDE * SIDE):
        raise FedscapeError(f"{user.where}.x: {requirement}, found the shape {shares.shape[1:]}")
    inside = (shares >= 0) & (shares <= 1)  # neither is true of NaN
    if not inside.all():
        raise FedscapeError(f"{user.where}.x: {requirement}, found {shares[~inside][0]:g}")
    return np.rint(shares * BRIGHTEST).astype(np.uint8).reshape(-1, 1, SIDE, SIDE)


def _labels(user: User) -> np.ndarray:
    """A writer's labels, int64 [n]."""
    for label in user.y:
        if type(label) is not int or not 0 <= label < len(CLASSES):
            raise FedscapeError(
                f"{user.where}.y: {label!r}, where a whole number from 0 to {len(CLASSES) - 1} is wanted"
            )
    return np.asarray(user.y, dtype=np.int64)
