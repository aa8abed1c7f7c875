"""What an entry of a study's section `curvature` measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fedscape.moment import Moment

Trace = Literal["none", "auto", "exact", "hutchinson", "hutch++", "xtrace"]
"""How the trace is found: from per-sample gradients, by an estimator, or by whichever suits the network."""
Sharpness = Literal["worst", "average", "adaptive-worst", "adaptive-average", "rays"]
"""How much the loss rises around a model: in which way it is measured."""
Definition = Literal["paper", "code"]
"""Which H_N and H_D are meant: the paper's equations, or those of its authors' code."""


@dataclass(frozen=True)
class DensitySettings:
    """Stochastic Lanczos quadrature of the density of all eigenvalues."""

    steps: int = 40  # of Lanczos, from each random vector
    probes: int = 4  # random vectors
    width: float = 0.01  # of the smoothing, as a share of the spectrum's


@dataclass(frozen=True)
class SharpnessSettings:
    """How far around a model the rise of the loss is looked at, of each measure; none if empty."""

    worst: Sequence[float] = ()  # radii of balls, in L2
    average: Sequence[float] = ()  # standard deviations of each parameter's noise
    adaptive_worst: Sequence[float] = ()  # radii, in parameters' own sizes
    adaptive_average: Sequence[float] = ()  # standard deviations, as shares of each parameter
    rays: Sequence[float] = ()  # rises of the loss that end a ray, in nats
    steps: int = 20  # of an ascent
    starts: int = 2  # of a worst case: along the gradient, the others at random
    draws: int = 10  # pairs of noise and its opposite; rays

    @property
    def asked(self) -> list[tuple[Sharpness, float]]:
        """Each measure with each of its radii, in a fixed order."""
        radii: dict[Sharpness, Sequence[float]] = {
            "worst": self.worst,
            "average": self.average,
            "adaptive-worst": self.adaptive_worst,
            "adaptive-average": self.adaptive_average,
            "rays": self.rays,
        }
        return [(measure, radius) for measure, each in radii.items() for radius in each]


@dataclass(frozen=True)
class CurvatureSettings:
    """Quantities of the Hessian, sharpness, and the models and samples of which they are measured."""

    rounds: Sequence[Moment] = ("last",)  # a share means the kept round nearest to it
    # whose models; mean: of the clients' models, before the server's step
    of: Sequence[Literal["global", "clients", "mean"]] = ("global",)
    data: Sequence[Literal["global", "own"]] = ("global",)  # all clients' samples, or each client's own
    top: int = 1  # eigenvalues at the upper end
    bottom: int = 0  # and at the lower
    trace: Trace = "none"  # `auto`: exact where that is possible and cheap
    layers: bool = False  # the trace of each layer's block, too
    probes: int = 30  # Hessian products of an estimated trace
    density: DensitySettings | None = None
    hessian_agreement: Sequence[Definition] = ()  # definitions of H_N and H_D
    sharpness: SharpnessSettings | None = None
    # statistics: the model's own, or measured afresh on the samples that it is looked at on
    batch_norm: Literal["keep", "recalibrate"] = "keep"

    @property
    def measures_hessian(self) -> bool:
        """Whether anything of second derivatives is asked for."""
        asked = (self.top, self.bottom, self.trace != "none", self.density, self.hessian_agreement)
        return any(map(bool, asked))

    @property
    def needs_clients_alone(self) -> bool:
        """Whether clients' models are looked at, and no global one."""
        return self.needs_clients and "global" not in self.of

    @property
    def needs_clients(self) -> bool:
        """Whether clients' models are looked at."""
        return "clients" in self.of or "mean" in self.of or bool(self.hessian_agreement)

    @property
    def needs_client_samples(self) -> bool:
        """Whether the samples of each client are needed: to look at, or to weigh its model by."""
        return "own" in self.data or "mean" in self.of
