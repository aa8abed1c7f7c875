"""What an entry of a study's section `curvature` measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fedscape.moment import Moment

Trace = Literal["none", "auto", "exact", "hutchinson", "hutch++", "xtrace"]
"""How the trace is found: from per-sample gradients, by an estimator, or by whichever suits the network."""
Definition = Literal["paper", "code"]
"""Which H_N and H_D are meant: the paper's equations, or those of its authors' code."""


@dataclass(frozen=True)
class DensitySettings:
    """Stochastic Lanczos quadrature of the density of all eigenvalues."""

    steps: int = 40  # of Lanczos, from each random vector
    probes: int = 4  # random vectors
    width: float = 0.01  # of the smoothing, as a share of the spectrum's


@dataclass(frozen=True)
class CurvatureSettings:
    """Quantities of the Hessian, and the models and samples of which they are measured."""

    rounds: Sequence[Moment] = ("last",)  # a share means the kept round nearest to it
    of: Sequence[Literal["global", "clients"]] = ("global",)  # whose models
    data: Sequence[Literal["global", "own"]] = ("global",)  # all clients' samples, or each client's own
    top: int = 1  # eigenvalues at the upper end
    bottom: int = 0  # and at the lower
    trace: Trace = "none"  # `auto`: exact where that is possible and cheap
    layers: bool = False  # the trace of each layer's block, too
    probes: int = 30  # Hessian products of an estimated trace
    density: DensitySettings | None = None
    hessian_agreement: Sequence[Definition] = ()  # definitions of H_N and H_D
