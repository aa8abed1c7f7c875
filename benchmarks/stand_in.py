"""Data sets that have the size of real ones and take no room: arrays with holes, which read as zeros."""

from pathlib import Path

import numpy as np

from fedscape.data.checksums import ALWAYS_READ, checksum, text_checksum
from fedscape.data.storage import Inputs, Raw, write_dataset
from fedscape.files import read_json, write_json

FIRST = 64  # samples of noise at the beginning, so that no channel is constant


def stand_in(
    folder: Path, shape: tuple[int, ...], classes: int, train: int, test: int, border: int = 0
) -> Path:
    """A prepared data set of this many train and test images of this shape, labelled in turn.

    border: pixels beyond the shape that are stored at each side.
    """
    draw = np.random.default_rng(0)
    stored = (shape[0], *(side + 2 * border for side in shape[1:]))
    images = Inputs.of(draw.integers(0, 256, (FIRST, *stored), dtype=np.uint8))
    labels = np.arange(FIRST) % classes
    names = tuple(f"c{number}" for number in range(classes))
    write_dataset(folder, folder.name, "stand-in", Raw(names, images, labels, images, labels, border=border))
    content = read_json(folder / "dataset.json")
    del content["crc32"]
    for split, count in (("train", train), ("test", test)):
        inputs, labels = folder / f"{split}-inputs.npy", folder / f"{split}-labels.npy"
        _lengthen(inputs, (count, *stored))
        np.save(labels, np.arange(count) % classes)
        content[split] = count
        for path in (inputs, labels):
            content["files"][path.name] = {"bytes": path.stat().st_size, "crc32": _checksum(path), "md5": ""}
    write_json(folder / "dataset.json", {**content, "crc32": text_checksum(content)})
    return folder


def _checksum(path: Path) -> str:
    """Nobody looks at that of a large array which is older than its description."""
    return checksum(path) if path.stat().st_size <= ALWAYS_READ else ""


def _lengthen(path: Path, shape: tuple[int, ...]) -> None:
    """Give a .npy file of uint8 another first dimension; what it had stays, the rest is a hole."""
    first = np.load(path)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        begin = file.tell()
        file.write(first[: shape[0]].data)
        file.truncate(begin + int(np.prod(shape)))
