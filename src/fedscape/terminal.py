"""A terminal's last line, which may be one of progress that is written anew."""

from typing import TextIO

CLEAR = "\r\x1b[2K"
"""Terminals' sequence: back to the beginning of the line, and empty it."""


def clear_line(stream: TextIO | None) -> None:
    """Empty the last line, so that what is written next does not stand in the rest of it; terminals only."""
    if stream is not None and stream.isatty():
        stream.write(CLEAR)
        stream.flush()
