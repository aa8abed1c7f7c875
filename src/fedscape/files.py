"""Files that are either whole or not there: temporary name, fsync, rename."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedscape.errors import FedscapeError, reason


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved there if the block ends well and removed if not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # a stranger's link could lead anywhere
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | Path) -> None:
    """Remove temporary files that killed processes left beside `path`; only its sole writer may call this."""
    path = Path(path)
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


@contextmanager
def reading(path: str | Path, what: str, mend: str = "delete the file to have it rebuilt") -> Iterator[None]:
    """A block that parses a file: whatever the parser raises becomes a FedscapeError that names the file.

    what: what the file should hold. mend: what to do about it. Wrap nothing but reading: an error in our own
    code would be blamed on the file.
    """
    try:
        yield
    except FedscapeError:
        raise
    except Exception as error:
        raise FedscapeError(f"{path}: not a whole {what} ({reason(error)}); {mend}") from error


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with LF line ends, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: object) -> None:
    """Write indented JSON, atomically; keys keep their order."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> dict:
    """The JSON object in a file. Raises FedscapeError for a truncated file, other text or another value."""
    with reading(path, "JSON object"):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"found {type(content).__name__}")
        return content
