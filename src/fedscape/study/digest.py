"""The digest of the code behind a job: its script, its plug-ins, and whatever of ours Python runs for them.

Modules are hashed as syntax trees (`fedscape.study.syntax`), so a comment, a formatter, a `touch` or another
module's edit changes nothing, and an edit two imports away does. Plug-ins are imported by name at run time,
which no reading of the source shows; a job therefore names its own.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fedscape.study.imports import label, reached
from fedscape.study.syntax import spelled, tree


def code_digest(files: Iterable[Path], folder: Path | None = None) -> str:
    """16 hex digits that stand for the code reachable from `files` (scripts and plug-ins).

    folder: that files of the user's own are imported from, if any are among them.
    """
    # Names relative to the import path: the same code in another clone has the same digest.
    hashes = sorted(f"{label(file, folder)} {_hash(file)}" for file in reached(files))
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:16]


@cache
def _hash(file: Path) -> str:
    return hashlib.sha256(spelled(tree(file)).encode()).hexdigest()
