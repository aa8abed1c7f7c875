"""How far clients' Hessians agree: H_N and H_D of Mendieta et al. (Local Learning Matters, 2022, sec. 3.4).

Both compare the diagonals d_k of the Hessians at the clients' models. The paper's equations 3 and 4 and the
code of its authors differ, and the published numbers are the code's:

             d_k                       H_N of a pair               averaged over
    paper    an entry per parameter    (|d_k|^2 - |d_j|^2)^2       pairs k < j
    code     a sum per tensor          (|d_k| - |d_j|)^2           all k and j, k = j included

H_D is the cosine of d_k and d_j in both. A lower H_N and a higher H_D mean that clients agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedscape.checkpoints.blocks import column_blocks
from fedscape.settings.curvature import Definition


@dataclass(frozen=True)
class HessianAgreement:
    """Difference of the norms and cosine of the diagonals of clients' Hessians, means over pairs."""

    norm: float  # H_N
    direction: float  # H_D


def agreement(
    diagonals: Sequence[np.ndarray], sizes: Sequence[int], definition: Definition
) -> HessianAgreement:
    """H_N and H_D of diagonals [P] of two clients or more; NaN for the paper's definition of fewer.

    sizes: how many parameters each tensor has. The diagonals may be memory maps: they are read in blocks.
    """
    if definition == "code":
        bounds = np.cumsum([0, *sizes[:-1]])
        diagonals = [
            np.add.reduceat(np.asarray(diagonal, dtype=np.float64), bounds) for diagonal in diagonals
        ]
    gram = _gram(diagonals)
    squares = np.diag(gram)
    lengths = np.sqrt(squares)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = gram / np.outer(lengths, lengths)  # NaN beside a Hessian of zeros
    if definition == "code":
        return HessianAgreement(
            float(np.mean(np.subtract.outer(lengths, lengths) ** 2)), float(cosines.mean())
        )
    first, second = np.triu_indices(len(gram), k=1)
    if not len(first):
        return HessianAgreement(float("nan"), float("nan"))
    norms = (squares[first] - squares[second]) ** 2
    return HessianAgreement(float(norms.mean()), float(cosines[first, second].mean()))


def _gram(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Dot products of all rows with each other, float64 [K, K]."""
    total = np.zeros((len(rows), len(rows)))
    for start, stop in column_blocks(len(rows), len(rows[0])):
        block = np.stack([np.asarray(row[start:stop], dtype=np.float64) for row in rows])
        total += block @ block.T
    return total
