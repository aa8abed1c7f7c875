"""Files that may be a stranger's, opened only if they are files: a FIFO would wait, a device never end."""

import errno
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from fedscape.errors import FedscapeError

LARGEST = 1 << 26  # bytes of a text that is read as a whole


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file, or a link to one, for its bytes; raises OSError for anything else, never waits."""
    return open(path, "rb", opener=_opened)


def read_regular(path: str | Path, most: int = LARGEST) -> str:
    """The UTF-8 text of a regular file of at most `most` bytes. Raises OSError or UnicodeDecodeError."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes")
    return content.decode("utf-8")


def json_object(path: str | Path) -> dict:
    """The JSON object that a file holds; empty where it holds none."""
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

    Who writes and deletes there would do it in somebody's own folders, or in another study's.
    """
    for one in _ways_to(paths):
        if one.is_symlink() and one != Path("results"):
            raise FedscapeError(f"{one}: a link leads elsewhere; remove it, or link results itself")


def check_kinds(files: Iterable[Path]) -> None:
    """Refuse to write files where a folder lies, or in a folder that is none."""
    files = set(files)
    for one in _ways_to(file.parent for file in files):
        if one.exists() and not one.is_dir():
            raise FedscapeError(f"{one}: not a folder, where files are to be written; remove it")
    for file in sorted(files):
        if file.is_dir() and not file.is_symlink():
            raise FedscapeError(f"{file}: a folder, where a file is to be written; remove it")


def _ways_to(paths: Iterable[Path]) -> list[Path]:
    """Some paths and all folders above them, these first."""
    return sorted({one for path in paths for one in (path, *path.parents)})


def _opened(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "no regular file")
