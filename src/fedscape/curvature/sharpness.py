"""Sharpness: how much the loss rises around a model, at finite distances.

With L the mean loss, w the parameters, S = 1 or, in the adaptive forms, S = diag|w|:

    worst     max over ||z|| <= radius of L(w + S z) - L(w), by projected ascent
    average   mean over z ~ N(0, radius^2 I) of L(w + S z) - L(w), by pairs of z and -z
    rays      mean over filter-normalised directions u of the smallest r with L(w + r u) >= L(w) + rise

worst: Foret et al. (Sharpness-Aware Minimization, 2021); adaptive: Kwon et al. (ASAM, 2021), with S of all
parameters, which makes the value the same where neighbouring layers of a ReLU network are rescaled. At the
minimum of a quadratic with Hessian H: radius^2 / 2 times the largest eigenvalue of S H S, or its trace, and
r = sqrt(2 rise / u'Hu). Random vectors are the same for all models of a network and a seed, so models are
compared along the same ones.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fedscape.checkpoints.layout import Layout, parameters_of
from fedscape.evaluation.directions import filter_normalised
from fedscape.evaluation.evaluate import SampleSet, laid_out, mode
from fedscape.evaluation.loss import part_of_mean
from fedscape.jobs.streams import stream
from fedscape.settings.curvature import Sharpness, SharpnessSettings

NEAREST, FARTHEST = 2.0**-10, 2.0**4
"""Radii, in lengths of the filters, between which a ray is searched, each twice the one before: a hill that
is narrower than that can be stepped over. Where the loss has not risen by the last one a ray is infinite."""
RAY_TOLERANCE = 1e-3
"""To which share of itself the radius of a ray is found."""


@dataclass(frozen=True)
class SharpnessValue:
    """A sharpness and what is known of its error.

    standard_error: over random draws; NaN of a worst case, which is a lower bound. residual: of a worst case,
    how far one more step of the ball's radius would move its end, as a share of the radius: 0 at a maximum on
    the ball's surface, which may be a local one, and large at one inside of it; else NaN.
    """

    value: float
    standard_error: float = math.nan
    residual: float = math.nan


class PerturbedLoss:
    """The mean loss over the data at w + displacement, in eval mode with fixed buffers; `base` is that at w.

    parameters: w [P], of any floating type; displacements are float64 [P] on its device.
    """

    def __init__(
        self,
        module: nn.Module,
        layout: Layout,
        parameters: Tensor,
        buffers: dict[str, Tensor],
        data: SampleSet,
    ):
        self.module, self.layout, self.buffers, self.data = module, layout, buffers, data
        self.point = parameters.detach()
        self.base = self(torch.zeros_like(self.point, dtype=torch.float64))

    def __call__(self, displacement: Tensor) -> float:
        """The loss, in nats."""
        with torch.no_grad():
            return float(sum(part.double() for part in self._parts(self._at(displacement))))

    def with_gradient(self, displacement: Tensor) -> tuple[float, Tensor]:
        """The loss and its gradient, float64 [P]."""
        at = self._at(displacement).requires_grad_()
        gradient, total = torch.zeros_like(displacement), 0.0
        for part in self._parts(at):
            gradient += torch.autograd.grad(part, at)[0]
            total += float(part.detach())
        return total, gradient

    def _at(self, displacement: Tensor) -> Tensor:
        return (self.point.double() + displacement).to(self.point.dtype)

    def _parts(self, point: Tensor) -> Iterator[Tensor]:
        """What each batch adds to the mean loss."""
        total = len(self.data.labels)
        for inputs, labels in self.data.batches():
            if inputs.is_floating_point():
                inputs = laid_out(inputs.to(point.dtype))
            with mode(self.module, training=False):
                tensors = {**parameters_of(point, self.layout), **self.buffers}
                outputs = functional_call(self.module, tensors, (inputs,), strict=True)
            yield part_of_mean(self.data.loss(outputs, labels).double(), len(labels), total)


def sharpness(
    loss: PerturbedLoss, measure: Sharpness, radius: float, settings: SharpnessSettings, seed: int
) -> SharpnessValue:
    """One measure of the sharpness of a model.

    radius: of the ball, in L2 (adaptive: in parameters' own sizes); standard deviation of each parameter's
    noise (adaptive: as a share of the parameter); of `rays` the rise, in nats. seed: of all random vectors.
    """
    ones = torch.ones_like(loss.point, dtype=torch.float64)
    if measure == "rays":
        return rays(loss, radius, settings.draws, seed)
    scale = loss.point.double().abs() if measure.startswith("adaptive") else ones
    if measure.endswith("worst"):
        return worst(loss, scale, radius, settings.steps, settings.starts, seed)
    return average(loss, scale, radius, settings.draws, seed)


def worst(
    loss: PerturbedLoss, scale: Tensor, radius: float, steps: int, starts: int, seed: int
) -> SharpnessValue:
    """The highest rise that projected ascent finds in the ball ||z|| <= radius of displacements scale * z.

    The first start is along the gradient at w, if it has one, the others are random. A lower bound of the
    maximum, never below 0. Takes a gradient at w, and of each start `steps` and one more.
    """
    _, uphill = loss.with_gradient(torch.zeros_like(scale))
    directions = [scale * uphill] if (scale * uphill).any() else []
    directions += _draws(starts - len(directions), scale, seed)
    ends = [_ascent(loss, scale, radius, direction, steps) for direction in directions]
    if any(math.isnan(end.value) for end in ends):
        return SharpnessValue(math.nan)
    return max(ends, key=lambda end: end.value)


def average(loss: PerturbedLoss, scale: Tensor, deviation: float, draws: int, seed: int) -> SharpnessValue:
    """The mean rise under Gaussian noise, over `draws` pairs z and -z, whose slopes cancel."""
    rises = []
    for noise in _draws(draws, scale, seed):
        step = deviation * scale * noise
        rises.append((loss(step) + loss(-step)) / 2 - loss.base)
    return _mean(rises)


def rays(loss: PerturbedLoss, rise: float, draws: int, seed: int) -> SharpnessValue:
    """The mean radius at which the loss has risen, in multiples of filter-normalised random directions.

    NaN where the loss at w is not finite, or so high that the rise is lost in its rounding.
    """
    if not loss.base < loss.base + rise < math.inf:
        return SharpnessValue(math.nan)
    radii = []
    for number in range(draws):
        direction = filter_normalised(loss.point, loss.layout, seed, number, "vectors")
        radii.append(_ray(loss, direction.to(loss.point.device, torch.float64), rise))
    return _mean(radii)


def _ascent(loss: PerturbedLoss, scale: Tensor, radius: float, start: Tensor, steps: int) -> SharpnessValue:
    """Steps along the gradient, back into the ball: halved where one does not rise, else doubled.

    Long steps make it a power iteration, whose next point is the gradient's direction; short ones make it
    rise where the loss also bends downwards.
    """
    place, length = radius * start / start.norm(), 1.0
    value, gradient = loss.with_gradient(scale * place)
    gradient *= scale
    for _ in range(steps):
        if not gradient.any() or not gradient.isfinite().all():
            break
        candidate = _within(place + length * radius * gradient / gradient.norm(), radius)
        new_value, new_gradient = loss.with_gradient(scale * candidate)
        if new_value > value:
            place, value, gradient, length = candidate, new_value, scale * new_gradient, 2 * length
        else:
            length /= 2
    if math.isnan(value):
        return SharpnessValue(math.nan)
    further = _within(place + radius * torch.nn.functional.normalize(gradient, dim=0), radius)
    return SharpnessValue(max(value - loss.base, 0.0), residual=float((further - place).norm()) / radius)


def _within(place: Tensor, radius: float) -> Tensor:
    """The nearest point of the ball."""
    length = float(place.norm())
    return place if length <= radius else place * (radius / length)


def _ray(loss: PerturbedLoss, direction: Tensor, rise: float) -> float:
    """The radius at which the loss has risen, or is not finite; infinite where it does not rise."""

    def has_risen(radius: float) -> bool:
        return not loss(radius * direction) < loss.base + rise

    inner, outer = 0.0, NEAREST
    while not has_risen(outer):
        if outer >= FARTHEST:
            return math.inf
        inner, outer = outer, 2 * outer
    while outer - inner > RAY_TOLERANCE * outer:
        middle = (inner + outer) / 2
        inner, outer = (inner, middle) if has_risen(middle) else (middle, outer)
    return outer


def _draws(count: int, like: Tensor, seed: int) -> Iterator[Tensor]:
    """Standard normal vectors of the stream `sharpness`; the first ones are the same whatever their count."""
    for number in range(count):
        noise = stream(seed, "sharpness", number).standard_normal(len(like))
        yield torch.from_numpy(noise).to(like.device)


def _mean(values: list[float]) -> SharpnessValue:
    """Mean and standard error of independent draws; the error of infinite ones is unknown."""
    mean = sum(values) / len(values)
    if not math.isfinite(mean):
        return SharpnessValue(mean)
    squares = sum((value - mean) ** 2 for value in values)
    return SharpnessValue(mean, math.sqrt(squares / (len(values) - 1) / len(values)))
