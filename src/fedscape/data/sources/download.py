"""Published files: downloaded if they are missing and the machine may, and checked by md5 before use."""

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path

from fedscape.errors import FedscapeError

PATIENCE = 20  # seconds without a byte; torchvision sets no limit and would hang behind a silent firewall


def checked_md5(name: str, path: Path, published: str, content: bytes | None = None) -> str:
    """The md5 of `path` (of `content` where it was unpacked in memory); a wrong one is refused by name."""
    if content is None:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
    else:
        md5 = hashlib.md5(content).hexdigest()
    if md5 != published:
        raise FedscapeError(
            f"{name}: {path} is truncated or wrong: md5 wanted {published}, found {md5}; "
            "delete it and get it again"
        )
    return md5


def fetch(
    name: str,
    missing: Callable[[], list[Path]],
    download: Callable[[], object],
    archives: dict[Path, str],
    advice: str,
) -> None:
    """Download where files are missing; any failure is one line: which file, where looked for, how to get it.

    missing: lists the files that are not there (called again after the download).
    download: tries to get them.
    archives: files that an earlier, broken download may have left, with the md5 they should have.
    advice: what a user without internet on this machine does.
    """
    if not missing():
        return
    failure: object = "nothing came"
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        download()
    except Exception as error:  # sockets, HTTP, gzip, tar, disk: the user's way out is the same for all
        failure = error
    finally:
        socket.setdefaulttimeout(before)
    absent = missing()
    if not absent:
        return  # whole or not: the md5s, checked next, will tell
    for archive, md5 in archives.items():
        if archive.is_file():
            checked_md5(name, archive, md5)
    reason = " ".join(str(failure).split())  # torchvision's reasons may have several lines
    raise FedscapeError(f"{name}: {absent[0]} not found and the download failed ({reason}); {advice}")
