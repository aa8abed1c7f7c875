"""MNIST and sets in its format (IDX files), in torchvision's layout."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from fedscape.data.sources.download import checked_md5, fetch
from fedscape.data.storage import Inputs, Raw
from fedscape.errors import FedscapeError

FILES = {
    "train-images-idx3-ubyte": 60_000 * 28 * 28 + 16,
    "train-labels-idx1-ubyte": 60_000 + 8,
    "t10k-images-idx3-ubyte": 10_000 * 28 * 28 + 16,
    "t10k-labels-idx1-ubyte": 10_000 + 8,
}
"""The bytes that each file has when it is unpacked: more of them are not read."""


def load_mnist(
    archive: type, unpacked_md5: dict[str, str], classes: tuple[str, ...], data_root: Path, name: str
) -> Raw:
    """Read a set of four IDX files, plain or gzipped, below ``data_root/<archive's name>/raw``.

    archive: torchvision's class, which knows the addresses.
    unpacked_md5: md5 of each file's unpacked content. The gzipped files' md5s, which torchvision has, differ
        between mirrors (Debian's package is compressed anew); their content does not.
    """
    folder = data_root / archive.__name__ / "raw"

    def missing() -> list[Path]:
        return [folder / file for file in FILES if not (_plain(folder, file) or _gzipped(folder, file))]

    fetch(
        name,
        missing=missing,
        download=lambda: archive(data_root, download=True),
        archives={},  # a gzipped file is not missing, and its content is checked below
        advice=f"get {', '.join(f'{file}.gz' for file in FILES)} from {archive.mirrors[0]} "
        f"on a machine with internet and place them in {folder}",
    )
    contents, sources = [], {}
    for file in FILES:
        path, content = _read(folder, file, name)
        sources[path.relative_to(data_root).as_posix()] = checked_md5(name, path, unpacked_md5[file], content)
        contents.append(_parse(content))
    train_images, train_labels, test_images, test_labels = contents
    return Raw(
        classes=classes,
        train_inputs=Inputs.of(train_images[:, None]),
        train_labels=train_labels.astype(np.int64),
        test_inputs=Inputs.of(test_images[:, None]),
        test_labels=test_labels.astype(np.int64),
        sources=sources,
    )


def _plain(folder: Path, file: str) -> Path | None:
    path = folder / file
    return path if path.is_file() else None


def _gzipped(folder: Path, file: str) -> Path | None:
    return _plain(folder, f"{file}.gz")


def _read(folder: Path, file: str, name: str) -> tuple[Path, bytes]:
    """The file's path and unpacked content; where both are there, the plain one, as torchvision does."""
    path = _plain(folder, file) or folder / f"{file}.gz"
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
            content = opened.read(FILES[file] + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FedscapeError(
            f"{name}: {path} is truncated or no gzip file ({error}); delete it and get it again"
        ) from error
    if len(content) > FILES[file]:
        raise FedscapeError(
            f"{name}: {path} is wrong: {file} has {FILES[file]} bytes, this has more; "
            "delete it and get it again"
        )
    return path, content


def _parse(content: bytes) -> np.ndarray:
    """IDX: two zero bytes, the type (here uint8), number of dimensions, big-endian sizes, then the values."""
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)
