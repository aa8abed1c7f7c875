"""Where the points of a surface lie.

Grids are nested: the coordinates of n points a side are, bit for bit, among those of 2n - 1. So a finer grid
takes over what a coarser one has evaluated. For that, the box must not depend on the number of points, and a
coordinate only on the share of the way that it stands for.
"""

from collections.abc import Sequence

import numpy as np

Box = tuple[float, float, float, float]
"""x from the first number to the second, y from the third to the fourth."""


def grid_counts(grid: int | Sequence[int]) -> tuple[int, int]:
    """Points along x and along y of a grid that is given by one number or two."""
    counts = [grid, grid] if isinstance(grid, int) else list(grid)
    if len(counts) != 2 or min(counts) < 2:
        raise ValueError(f"grid must be a number >= 2 or two of them, got {grid}")
    return counts[0], counts[1]


def box_around(x: np.ndarray, y: np.ndarray, grid: int | Sequence[int], margin: float) -> Box:
    """The box of markers at (x, y), and `margin` times its larger side around it.

    The step of a plane through models is the same along both axes (they have the same unit), so the side
    that is short for the grid's proportions is extended about its middle.
    """
    along_x, along_y = (count - 1 for count in grid_counts(grid))
    sides = float(np.ptp(x)), float(np.ptp(y))
    # Markers that all coincide leave the size open: one unit of parameter distance.
    larger = max(sides) or 1.0
    width, height = (side + 2 * margin * larger for side in sides)
    if width == height == 0:
        width = height = larger * min(1.0, along_x / along_y, along_y / along_x)
    # A quotient of the steps is the same number for 10 and 20 steps as for 20 and 40.
    width, height = max(width, height * (along_x / along_y)), max(height, width * (along_y / along_x))
    middle_x, middle_y = ((float(values.min()) + float(values.max())) / 2 for values in (x, y))
    return middle_x - width / 2, middle_x + width / 2, middle_y - height / 2, middle_y + height / 2


def grid_axes(box: Box, grid: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of a grid's columns [nx] and rows [ny], float64, from edge to edge of the box."""
    count_x, count_y = grid_counts(grid)
    return _axis(box[0], box[1], count_x), _axis(box[2], box[3], count_y)


def _axis(low: float, high: float, count: int) -> np.ndarray:
    return low + (high - low) * (np.arange(count) / (count - 1))
