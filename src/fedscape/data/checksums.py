"""CRC-32 of prepared files: written when they are, compared when a process first opens them."""

import json
import zlib
from pathlib import Path

from fedscape.errors import FedscapeError

ALWAYS_READ = 2**30  # bytes: a quarter of a second of CRC-32, and what a page cache holds
CHUNK = 2**20  # bytes that are read at a time

_verified: dict[tuple[object, ...], str] = {}  # CRC-32 of files that this process has gone through


def text_checksum(content: dict) -> str:
    """Of a description without its own checksum."""
    return f"{zlib.crc32(json.dumps(content).encode()):08x}"


def checksum(path: Path) -> str:
    """Eight hexadecimal digits. Not through a map, whose pages would count as memory of the process."""
    found, chunk = 0, memoryview(bytearray(CHUNK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(chunk):
            found = zlib.crc32(chunk[:count], found)
    return f"{found:08x}"


def verify(path: Path, wanted: str, written: int) -> None:
    """Refuse a file that is not what was written; once per process for the same file.

    written: when dataset.json was, in ns. A file's change time is later if its content, its name or its
    inode is newer, and nobody can set it back.
    """
    found = path.stat()
    state = (path.resolve(), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if _verified.get(state) == wanted or (found.st_size > ALWAYS_READ and found.st_ctime_ns <= written):
        return
    if checksum(path) != wanted:
        raise FedscapeError(
            f"{path}: altered since it was prepared (its CRC-32 is not the one in dataset.json); "
            "delete the file to have the data set prepared again"
        )
    _verified[state] = wanted
