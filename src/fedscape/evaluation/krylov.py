"""The Lanczos process: a symmetric operator on a growing Krylov space, for its eigenvalues and their density.

Golub and Van Loan, Matrix Computations (4th ed.), 10.1; Parlett (1980), The Symmetric Eigenvalue Problem.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

BREAKDOWN = 1e-10
"""Length of the next vector, as a share of T's largest entry, at which the Krylov space is exhausted."""


@dataclass
class Krylov:
    """A V = V T + residual * v e', with the m vectors of `basis` as the columns of V, and T tridiagonal."""

    basis: list[Tensor] = field(default_factory=list)
    """m orthonormal vectors [n], float64."""
    diagonal: list[float] = field(default_factory=list)
    """Diagonal of T, [m]."""
    off_diagonal: list[float] = field(default_factory=list)
    """Entries of T beside its diagonal, [m - 1]."""
    residual: float = 0.0
    """Length of the part of the last product that leaves the space."""

    def eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of T in ascending order [m], and its eigenvectors, the columns [m, m]."""
        return eigh_tridiagonal(self.diagonal, self.off_diagonal)


def lanczos(product: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> Iterator[Krylov]:
    """The growing space after each of at most `steps` products, until it is exhausted or one is not finite.

    With full re-orthogonalisation: without it, eigenvalues that have converged come back as ghosts. Holds
    `steps` vectors in memory.
    """
    space, vector = Krylov(), start.double() / start.double().norm()
    for step in range(min(steps, len(start))):
        if step:
            space.off_diagonal.append(space.residual)
        space.basis.append(vector)
        product_rest = product(vector).double()
        space.diagonal.append(float(vector @ product_rest))
        for _ in range(2):  # twice is enough (Parlett, 1980)
            for direction in space.basis:
                product_rest = product_rest - (direction @ product_rest) * direction
        space.residual = float(product_rest.norm())
        yield space
        if not space.residual > BREAKDOWN * max(map(abs, [*space.diagonal, *space.off_diagonal])):
            return
        vector = product_rest / space.residual
