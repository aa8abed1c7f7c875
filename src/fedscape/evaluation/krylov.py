"""The Lanczos process: a symmetric operator on a growing Krylov space, for its eigenvalues and their density.

Golub and Van Loan, Matrix Computations (4th ed.), 10.1; Parlett (1980), The Symmetric Eigenvalue Problem.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

BREAKDOWN = 1e-10
"""Where the next vector is so short beside the operator, the Krylov space is exhausted."""


@dataclass
class Krylov:
    """A V = V T + rest * v e', with the m rows of `basis` as V, and T tridiagonal."""

    basis: list[Tensor] = field(default_factory=list)
    """m orthonormal vectors [n], float64."""
    diagonal: list[float] = field(default_factory=list)
    """Of T, [m]."""
    beside: list[float] = field(default_factory=list)
    """Off its diagonal, [m - 1]."""
    rest: float = 0.0
    """Length of what leaves the space."""

    def eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of T in ascending order [m], and its eigenvectors, the columns [m, m]."""
        return eigh_tridiagonal(self.diagonal, self.beside)


def lanczos(product: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> Iterator[Krylov]:
    """One space, after each of at most `steps` products, until nothing leaves it or a product is not finite.

    With full re-orthogonalisation: without it, eigenvalues that have converged come back as ghosts. Holds
    `steps` vectors in memory.
    """
    space, vector = Krylov(), start.double() / start.double().norm()
    for step in range(min(steps, len(start))):
        if step:
            space.beside.append(space.rest)
        space.basis.append(vector)
        following = product(vector).double()
        space.diagonal.append(float(vector @ following))
        for _ in range(2):  # twice is enough (Parlett, 1980)
            for known in space.basis:
                following = following - (known @ following) * known
        space.rest = float(following.norm())
        yield space
        if not space.rest > BREAKDOWN * max(map(abs, [*space.diagonal, *space.beside])):
            return
        vector = following / space.rest
