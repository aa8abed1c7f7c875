"""Hard links, or copies, of a resume folder's whole files in the places of a job's outputs."""

import errno
import os
import shutil
from pathlib import Path

from fedscape.files import atomic

NO_HARD_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


def put_in_place(source: Path, target: Path) -> bool:
    """Make `target` the file `source`, atomically and with the present time, since it may be much older.

    Returns whether it is a hard link, not a copy.
    """
    os.utime(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Always the same name, so that a killed process's link is found and does not keep its blocks forever.
    temporary = target.with_name(f".{target.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        with atomic(target) as copy:
            shutil.copyfile(source, copy)
        return False
    temporary.replace(target)
    # Renaming one link of a file onto another of the same file leaves both.
    temporary.unlink(missing_ok=True)
    return True
