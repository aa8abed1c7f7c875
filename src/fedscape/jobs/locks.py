"""The lock of a resume folder: one process works there at a time, and a lock ends with its process."""

import errno
import fcntl
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from fedscape.errors import FedscapeError

LOCK = "lock"
_TRIES, _PAUSE = 20, 0.05  # tries, and seconds between them, before another process is said to hold the lock
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}


def lock_folder(folder: Path) -> int:
    """Descriptor of the folder's lock file, locked; it unlocks when closed, also by the process's death.

    The folder is created if it is missing. Raises FedscapeError where another process works in it, and where
    it is no resume folder: a link, or a folder of other files.
    """
    while True:
        if folder.is_symlink():
            raise FedscapeError(f"{folder}: a symbolic link, where a resume folder is expected; remove it")
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / LOCK).exists() and any(folder.iterdir()):
            # It would be emptied, with files that are not this project's.
            raise FedscapeError(f"{folder}: not a resume folder; name one that is new or empty")
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            continue  # another process has just finished and removed the folder
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise
            raise FedscapeError(f"{folder / LOCK}: no lock file; remove the folder to start afresh") from None
        try:
            _flock(lock)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                print(
                    f"{folder}: this file system has no locks; take care that only one process works here",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
                return lock
            os.close(lock)
            if isinstance(error, BlockingIOError):
                raise FedscapeError(
                    f"{folder}: another process is working here; wait for it to end"
                ) from None
            raise
        # The file locked may be one that its owner has removed since it was opened: then it locks nothing.
        try:
            if os.path.samestat(os.fstat(lock), (folder / LOCK).stat()):
                _sign(lock)
                return lock
        except FileNotFoundError:
            pass
        os.close(lock)


def is_held(file: str | Path) -> bool | None:
    """Whether a process holds the lock on a file; None where this cannot be told.

    Found out by sharing the lock for a moment; a process that wants it at that moment tries again
    (`lock_folder`).
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _flock(lock: int) -> None:
    """Lock a file, or raise BlockingIOError; waits for a process that only looks (`is_held`)."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_PAUSE)
    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(lock: int) -> None:
    """Write into the lock file who holds it; on a full disk the line of the last holder stays, or none."""
    with suppress(OSError):
        line = f"{socket.gethostname()} {os.getpid()}\n".encode()
        os.pwrite(lock, line, 0)
        os.ftruncate(lock, len(line))
