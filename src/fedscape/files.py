"""Files that are either whole or not there: temporary name, fsync, rename."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedscape.errors import FedscapeError, reason


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there if the block ends well, remove it if not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # what lies there may be a link of a stranger's, and lead anywhere
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_rests(path: str | Path) -> None:
    """Remove what killed processes left while writing `path`; only for the one process that may write it."""
    path = Path(path)
    for rest in path.parent.glob(f".{path.name}.*.tmp"):
        rest.unlink(missing_ok=True)


@contextmanager
def reading(path: str | Path, what: str, mend: str = "delete the file to have it rebuilt") -> Iterator[None]:
    """Name the file whose content a block cannot make sense of, whatever a parser raises over it.

    what: what the file should hold. mend: what to do about it. Wrap nothing but reading: the errors of a
    slip in our own code would be taken for the file's.
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
    """Read a JSON object; a file that is cut off, no JSON or another value is named."""
    with reading(path, "JSON object"):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"found {type(content).__name__}")
        return content
