"""The merge tree of a surface: its minima, the saddles at which their basins meet, and how deep each is.

A level rises over the grid. At a point that is below all its neighbours a basin begins; where two basins
meet, at a saddle, the one with the higher minimum ends (the elder rule), and its persistence is the height of
the saddle above its minimum. The basin of the lowest minimum never ends. Edelsbrunner, Letscher & Zomorodian
(Topological Persistence and Simplification, 2002), with union-find. Points of equal height come in the order
of the grid, as if the later were higher by nothing. Neighbours are the 8 around a point, or the 4 beside it:
two low points that touch at a corner are in one basin with 8, and in two with 4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Neighbours = Literal[4, 8]
"""Of a point of a grid: those beside it, or all around it."""
_BESIDE = ((-1, 0), (0, -1), (0, 1), (1, 0))
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
STEPS: dict[Neighbours, tuple[tuple[int, int], ...]] = {4: _BESIDE, 8: (*_BESIDE, *_DIAGONAL)}


@dataclass(frozen=True)
class Basin:
    """A local minimum with the saddle at which its basin joins the one of a lower minimum.

    minimum, saddle: positions (i, j) in the grid; no saddle where it joins none. persistence: height of the
    saddle above the minimum; infinite without one. joins: index of the basin on the other side of the saddle,
    or its own: a part of the lower minimum's by then, which may be another one.
    """

    minimum: tuple[int, int]
    saddle: tuple[int, int] | None
    persistence: float
    joins: int


@dataclass(frozen=True)
class MergeTree:
    """Basins by the heights of their minima, the lowest first, and the one that each point lies in.

    owners: int64 [nx, ny], the basin of the minimum that one comes to from lowest neighbour to lowest
    neighbour; -1 where the height is not finite.
    """

    basins: Sequence[Basin]
    owners: np.ndarray

    def lasting(self, noise: Sequence[float]) -> list[int]:
        """For each basin the one that it is a part of, once those no deeper than their noise [n] are filled.

        Itself where it lasts; else that of the basin on the other side of its saddle. What is one basin then
        is in one piece, if the noise is alike everywhere.
        """
        return [self._filled(number, noise) for number in range(len(self.basins))]

    def _filled(self, number: int, noise: Sequence[float]) -> int:
        """The lasting basin that a basin overflows into, or itself.

        There is one: saddles fall on the way to the lower minimum of whose basin this one has become a part.
        """
        while self.basins[number].persistence <= noise[number]:
            number = self.basins[number].joins
        return number


def merge_tree(heights: np.ndarray, neighbours: Neighbours = 8) -> MergeTree:
    """The merge tree of heights [nx, ny] on a grid; what is not finite is higher than all else, and in none.

    Raises ValueError for a number of neighbours other than 4 and 8.
    """
    if neighbours not in STEPS:
        raise ValueError(f"neighbours must be 4 or 8, got {neighbours}")
    flat, (rows, columns) = heights.ravel(), heights.shape
    order = np.argsort(flat, kind="stable")
    owners = np.full(flat.size, -1)
    minima: list[int] = []  # positions of minima, the lowest first
    joins: list[tuple[int, int | None]] = []  # of each, the basin beyond its saddle, and where that is
    roots: list[int] = []  # union-find over basins

    def root(basin: int) -> int:
        while roots[basin] != basin:
            roots[basin] = roots[roots[basin]]
            basin = roots[basin]
        return basin

    for place in order[np.isfinite(flat[order])].tolist():
        i, j = divmod(place, columns)
        around = [
            (i + di) * columns + j + dj
            for di, dj in STEPS[neighbours]
            if 0 <= i + di < rows and 0 <= j + dj < columns
        ]
        below = [other for other in around if owners[other] >= 0]
        if not below:
            owners[place] = len(minima)
            roots.append(len(minima))
            joins.append((len(minima), None))
            minima.append(place)
            continue
        owners[place] = owners[min(below, key=lambda other: (flat[other], other))]
        sides = {other: root(int(owners[other])) for other in below}
        elder, *others = sorted(set(sides.values()))
        _, beyond = min((flat[other], other) for other, side in sides.items() if side == elder)
        for younger in others:
            roots[younger] = elder
            joins[younger] = int(owners[beyond]), place
    basins = [
        Basin(
            minimum=divmod(minimum, columns),
            saddle=None if at is None else divmod(at, columns),
            persistence=math.inf if at is None else float(flat[at] - flat[minimum]),
            joins=joined,
        )
        for minimum, (joined, at) in zip(minima, joins, strict=True)
    ]
    return MergeTree(basins, owners.reshape(heights.shape))


def noises(tree: MergeTree, errors: np.ndarray, times: float) -> list[float]:
    """How deep each basin may be for nothing: `times` the standard error of its persistence.

    errors: standard errors [nx, ny] of the heights, as if those of minimum and saddle were independent; of
    the same samples they are not, so the difference is known better than this. NaN counts as 0.
    """
    squares = np.nan_to_num(errors) ** 2
    of_saddles = (0.0 if basin.saddle is None else squares[basin.saddle] for basin in tree.basins)
    return [
        times * math.sqrt(squares[basin.minimum] + of_saddle)
        for basin, of_saddle in zip(tree.basins, of_saddles, strict=True)
    ]
