"""Blocks of columns of a matrix of many models, since the whole matrix may not fit in memory."""

from collections.abc import Iterator

BLOCK_BYTES = 64 * 2**20
"""Memory of one block in float64; several times a processor's cache, little beside a model."""


def column_blocks(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Bounds (start, stop) that cover `columns` in order, each block of `rows` rows within BLOCK_BYTES."""
    width = max(1, BLOCK_BYTES // (8 * max(rows, 1)))
    for start in range(0, columns, width):
        yield start, min(start + width, columns)
