"""Curves with one bend between two models: where their points lie, how long they are.

After Garipov et al. (Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs, 2018, section 3.2): with
the ends w0 and w1 and the bend th, a quadratic Bezier curve is (1-t)^2 w0 + 2 t (1-t) th + t^2 w1, and a
polygonal chain the segment from w0 to th (t up to 1/2), then the one from th to w1.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import quad
from torch import Tensor

from fedscape.settings.connectivity import Form


def control_weights(form: Form, t: float) -> tuple[float, float, float]:
    """What the first end, the bend and the last end count for at t; 1, 0, 0 at t = 0 and 0, 0, 1 at 1.

    The second is the derivative of a point with respect to the bend.
    """
    if form == "bezier":
        return (1 - t) ** 2, 2 * t * (1 - t), t**2
    return max(0.0, 1 - 2 * t), 1 - abs(2 * t - 1), max(0.0, 2 * t - 1)


@dataclass(frozen=True)
class Curve:
    """A curve between two models; first, bend, last: vectors of parameters [P]."""

    form: Form
    first: Tensor
    bend: Tensor
    last: Tensor

    @classmethod
    def straight(cls, form: Form, first: Tensor, last: Tensor) -> "Curve":
        """The curve whose bend is the mean of its ends: each of its points lies on the segment, at its t."""
        return cls(form, first, (first + last) / 2, last)

    def at(self, t: float) -> Tensor:
        """The point at t, from 0 to 1: parameters [P]. Both ends are exact, whatever the bend is."""
        terms = zip(control_weights(self.form, t), (self.first, self.bend, self.last), strict=True)
        first, *others = [weight * vector for weight, vector in terms if weight]
        return sum(others, first)

    @property
    def length(self) -> float:
        """Its length, in the L2 distance of parameters."""
        start, end = self._sides
        if self.form == "chain":
            return float(torch.linalg.vector_norm(start) + torch.linalg.vector_norm(end))
        # The velocity is 2 (1-t) start + 2 t end, so its square is a polynomial of three products.
        squares = [(start @ start).item(), (start @ end).item(), (end @ end).item()]

        def speed(t: float) -> float:
            weights = ((1 - t) ** 2, 2 * t * (1 - t), t**2)
            square = sum(weight * product for weight, product in zip(weights, squares, strict=True))
            return 2 * np.sqrt(max(square, 0.0))

        return float(quad(speed, 0, 1)[0])

    @property
    def bend_distance(self) -> float:
        """L2 distance of the bend from the segment between the ends; a Bezier curve goes half as far."""
        start, end = self._sides
        whole = start + end
        square = (whole @ whole).item()
        share = min(max((start @ whole).item() / square, 0.0), 1.0) if square else 0.0
        return float(torch.linalg.vector_norm(start - share * whole))

    @property
    def _sides(self) -> tuple[Tensor, Tensor]:
        """From the first end to the bend, and from there to the last end, in float64."""
        first, bend, last = (vector.double() for vector in (self.first, self.bend, self.last))
        return bend - first, last - bend
