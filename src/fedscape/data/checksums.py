"""CRC-32 of prepared files: recorded when they are written, compared when a process first opens them."""

import json
import zlib
from pathlib import Path

from fedscape.errors import FedscapeError

ALWAYS_READ = 2**30  # bytes: a quarter of a second of CRC-32, and what a page cache holds
CHUNK = 2**20  # bytes that are read at a time
PREPARE = "prepare the data set again (snakemake --cores 1 --force with this file)"

_verified: dict[tuple[object, ...], str] = {}  # CRC-32 of the files that this process has verified


def text_checksum(content: dict) -> str:
    """CRC-32 of a description without its own checksum."""
    return f"{zlib.crc32(json.dumps(content).encode()):08x}"


def checksum(path: Path) -> str:
    """Eight hexadecimal digits. Not read through a map, whose pages would count as the process's memory."""
    crc, chunk = 0, memoryview(bytearray(CHUNK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(chunk):
            crc = zlib.crc32(chunk[:count], crc)
    return f"{crc:08x}"


def verify(path: Path, recorded: str, written: int) -> None:
    """Refuse a file that is not what was written; once per process for the same file.

    recorded: its checksum in dataset.json. written: when dataset.json was written, in ns. A file's change
    time is later if its content, its name or its inode is newer, and cannot be set back.
    """
    stat = path.stat()
    state = (path.resolve(), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if _verified.get(state) == recorded or (stat.st_size > ALWAYS_READ and stat.st_ctime_ns <= written):
        return
    if checksum(path) != recorded:
        raise FedscapeError(
            f"{path}: altered since it was prepared (its CRC-32 is not the one in dataset.json); {PREPARE}"
        )
    _verified[state] = recorded
