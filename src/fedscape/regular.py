"""Files that may be a stranger's, opened only if they are regular: a FIFO blocks, a device never ends."""

import errno
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from fedscape.errors import FedscapeError

LARGEST = 1 << 26  # bytes of a text that is read at once


def open_regular(path: str | Path) -> BinaryIO:
    """A regular file, or a link to one, opened for its bytes without waiting. Raises OSError otherwise."""
    return open(path, "rb", opener=_descriptor)


def read_regular(path: str | Path, most: int = LARGEST) -> str:
    """The UTF-8 text of a regular file of at most `most` bytes. Raises OSError or UnicodeDecodeError."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes")
    return content.decode("utf-8")


def json_object(path: str | Path) -> dict:
    """The JSON object in a file; an empty one where the file is missing or holds anything else."""
    try:
        content = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def is_regular(path: str | Path) -> bool:
    """Whether there is a regular file, or a link to one, whatever the path is."""
    return os.path.isfile(path)  # noqa: PTH113 (pathlib's raises OSError for names that are too long)


def is_inside(path: Path, folder: Path) -> bool:
    """Whether `path` lies strictly inside `folder`, wherever links on the way to either lead."""
    try:
        return folder.resolve() in path.resolve().parents
    except (OSError, RuntimeError):  # a cycle of links
        return False


def check_links(paths: Iterable[Path]) -> None:
    """Refuse files and folders below `results` that are links, or behind one; `results` itself may be one.

    Writing and deleting there would reach a user's other folders, or another study's.
    """
    for path in _with_parents(paths):
        if path.is_symlink() and path != Path("results"):
            raise FedscapeError(f"{path}: a link leads elsewhere; remove it, or link results itself")


def check_file_kinds(files: Iterable[Path]) -> None:
    """Refuse to write files where a folder lies, or below something that is no folder."""
    files = set(files)
    for folder in _with_parents(file.parent for file in files):
        if folder.exists() and not folder.is_dir():
            raise FedscapeError(f"{folder}: not a folder, where files are to be written; remove it")
    for file in sorted(files):
        if file.is_dir() and not file.is_symlink():
            raise FedscapeError(f"{file}: a folder, where a file is to be written; remove it")


def _with_parents(paths: Iterable[Path]) -> list[Path]:
    """The paths and all folders above them, each folder before what lies in it."""
    return sorted({step for path in paths for step in (path, *path.parents)})


def _descriptor(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "no regular file")
