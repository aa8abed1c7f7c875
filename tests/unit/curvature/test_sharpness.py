"""Measures of sharpness against closed forms of quadratics, dense Hessians and invariances."""

import copy
import math

import curved
import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn

from fedscape.checkpoints.layout import parameters_of
from fedscape.curvature.sharpness import PerturbedLoss, average, rays, sharpness, worst
from fedscape.evaluation.directions import filter_normalised
from fedscape.evaluation.eigenvalues import state_of
from fedscape.evaluation.evaluate import EvaluationSet, evaluate
from fedscape.settings.curvature import SharpnessSettings

SIZE = 12


class Quadratic(nn.Module):
    """w as an output of its own, whatever the input: the loss is a function of the parameters."""

    def __init__(self, start):
        super().__init__()
        self.w = nn.Parameter(start)

    def forward(self, inputs):
        return self.w.flatten().expand(len(inputs), -1)


def of_function(function, start):
    """The loss w -> function(w), at `start` of any shape."""
    data = EvaluationSet(
        torch.zeros(3, 1, 1, 1), torch.zeros(3), torch.tensor([]), torch.tensor([]), batch_size=2,
        loss=lambda outputs, targets: torch.stack([function(row) for row in outputs]),
    )  # fmt: skip
    layout, _, buffers = state_of(Quadratic(start))
    return PerturbedLoss(Quadratic(start), layout, start.flatten(), buffers, data)


def symmetric(values):
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((SIZE, SIZE)))[0]
    return torch.from_numpy(rotation @ np.diag(values) @ rotation.T)


def quadratic(hessian, start):
    return of_function(lambda w: 0.5 * w @ hessian @ w, start)


def ones():
    return torch.ones(SIZE, dtype=torch.float64)


INDEFINITE = np.linspace(-3, 4, SIZE)


@pytest.mark.parametrize("radius", [0.01, 0.5, 5.0])
@pytest.mark.parametrize("values", [np.linspace(0.1, 4, SIZE), INDEFINITE], ids=["bowl", "saddle"])
def test_the_worst_case_solves_the_trust_region_problem(values, radius):
    """(mu I - H) d = g with mu >= lambda_max and ||d|| = rho is the exact maximum in a ball."""
    hessian = symmetric(values)
    start = torch.from_numpy(np.random.default_rng(1).standard_normal(SIZE))
    g, identity = hessian @ start, torch.eye(SIZE, dtype=torch.float64)

    def displacement(mu):
        return torch.linalg.solve(mu * identity - hessian, g)

    top = values.max()
    mu = brentq(lambda mu: float(displacement(mu).norm()) - radius, top + 1e-9, top + 1e6)
    d = displacement(mu)
    expected = float(g @ d + 0.5 * d @ hessian @ d)
    found = worst(quadratic(hessian, start), ones(), radius, steps=300, starts=2, seed=0)
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert found.residual < 1e-3 and math.isnan(found.standard_error)


def test_a_worst_case_is_a_lower_bound_that_more_steps_raise():
    hessian = symmetric(np.linspace(0.1, 4, SIZE))
    loss = quadratic(hessian, torch.zeros(SIZE, dtype=torch.float64))
    found = [worst(loss, ones(), 0.3, steps, 1, seed=0).value for steps in (1, 5, 20, 300)]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(0.3**2 * 4 / 2, rel=1e-6), "at the minimum rho^2 lambda_max / 2"
    assert worst(loss, ones(), 0.3, 20, 3, seed=0).value >= found[2], "more starts find no less"


def test_at_the_top_of_a_hill_nothing_rises_and_in_the_plain_no_direction_is_wrong():
    hill = quadratic(-torch.eye(SIZE, dtype=torch.float64), torch.zeros(SIZE, dtype=torch.float64))
    assert worst(hill, ones(), 0.3, 20, 2, seed=0).value == 0
    plain = quadratic(torch.zeros(SIZE, SIZE, dtype=torch.float64), ones())
    assert worst(plain, ones(), 0.3, 20, 2, seed=0).value == 0
    assert rays(plain, 0.1, 2, seed=0).value == math.inf


def test_the_adaptive_worst_case_is_that_of_the_scaled_hessian():
    values = np.linspace(0.1, 4, SIZE)
    start = torch.from_numpy(np.random.default_rng(1).standard_normal(SIZE))
    hessian = symmetric(values)
    at_minimum = of_function(lambda w: 0.5 * (w - start) @ hessian @ (w - start), start)
    scaled = start.abs()[:, None] * hessian * start.abs()
    expected = 0.2**2 / 2 * np.linalg.eigvalsh(scaled.numpy())[-1]
    settings = SharpnessSettings(steps=300)
    found = sharpness(at_minimum, "adaptive-worst", 0.2, settings, 0)
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert sharpness(at_minimum, "worst", 0.2, settings, 0).value == pytest.approx(0.2**2 * 2, rel=1e-6)


def test_the_average_is_half_the_trace_with_the_spread_of_the_closed_form():
    """s^2 tr H / 2; sd of a draw s^2 ||H||_F / sqrt 2; slopes cancel in pairs, away from the minimum too."""
    hessian, draws = symmetric(INDEFINITE), 4000
    start = torch.from_numpy(np.random.default_rng(1).standard_normal(SIZE))
    found = average(quadratic(hessian, start), ones(), 0.1, draws, seed=0)
    error = 0.1**2 * float(hessian.norm()) / math.sqrt(2 * draws)
    assert found.standard_error == pytest.approx(error, rel=0.1)
    assert abs(found.value - 0.1**2 * float(hessian.trace()) / 2) < 4 * error
    scaled = average(quadratic(hessian, start), start.abs(), 0.1, draws, seed=0)
    expected = 0.1**2 / 2 * float((hessian.diagonal() * start**2).sum())
    assert abs(scaled.value - expected) < 4 * scaled.standard_error


def test_rays_end_where_a_quadratic_has_risen():
    hessian = symmetric(np.linspace(0.1, 4, SIZE))
    start = torch.from_numpy(np.random.default_rng(1).standard_normal((3, 4)))
    flat = start.flatten()
    loss = of_function(lambda w: 0.5 * (w - flat) @ hessian @ (w - flat), start)
    directions = [filter_normalised(flat, loss.layout, 0, k, "vectors").double() for k in range(5)]
    expected = [math.sqrt(2 * 0.1 / float(u @ hessian @ u)) for u in directions]
    found = rays(loss, 0.1, 5, seed=0)
    assert found.value == pytest.approx(np.mean(expected), rel=1e-3)
    assert found.standard_error == pytest.approx(np.std(expected, ddof=1) / math.sqrt(5), rel=1e-2)


def test_the_adaptive_measure_does_not_see_a_factor_that_moves_between_two_weights():
    """L = (u v - 1)^2 / 2 at (c, 1/c): lambda_max grows with c, the adaptive eigenvalue is 2."""

    def at(c):
        return of_function(lambda w: 0.5 * (w[0] * w[1] - 1) ** 2, torch.tensor([c, 1 / c]).double())

    settings, radius = SharpnessSettings(steps=100, starts=8), 1e-3
    plain = [2 / radius**2 * sharpness(at(c), "worst", radius, settings, 0).value for c in (1.0, 3.0)]
    assert plain == pytest.approx([2, 9 + 1 / 9], rel=1e-2)
    adaptive = [sharpness(at(c), "adaptive-worst", 0.1, settings, 0).value for c in (1.0, 3.0)]
    assert adaptive[1] == pytest.approx(adaptive[0], rel=1e-5)
    assert 2 / 0.1**2 * adaptive[0] == pytest.approx(2, rel=0.2)


def test_neighbouring_layers_of_a_relu_network_may_be_rescaled():
    """Adaptive measures and rays, along filters, stay; those of a ball do not."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    rescaled = copy.deepcopy(layers)
    with torch.no_grad():
        for one in (rescaled[1].weight, rescaled[1].bias):
            one *= 4
        rescaled[3].weight /= 4
    data = curved.curved(curved.linear).data
    settings = SharpnessSettings(steps=10, draws=4)
    found = {}
    for measure, radius in [
        ("adaptive-worst", 0.3),
        ("adaptive-average", 0.2),
        ("rays", 0.1),
        ("worst", 0.3),
        ("average", 0.2),
    ]:
        values = [
            sharpness(PerturbedLoss(one, *given_state(one), data), measure, radius, settings, 0).value
            for one in (layers, rescaled)
        ]
        found[measure] = values[1] / values[0]
    assert found["adaptive-worst"] == pytest.approx(1, rel=1e-9)
    assert found["adaptive-average"] == pytest.approx(1, rel=1e-9)
    assert found["rays"] == pytest.approx(1, rel=1e-9)
    assert abs(found["worst"] - 1) > 0.1 and abs(found["average"] - 1) > 0.1


def given_state(module):
    layout, _, buffers = state_of(module)
    vector = torch.cat([one.detach().flatten() for one in module.parameters()])
    return layout, vector, buffers


@pytest.mark.parametrize("build", [curved.batch_norm, curved.residual, curved.gelu, curved.gpt])
def test_losses_and_gradients_are_those_of_the_network(build):
    """Of several batches, in eval mode with the given statistics, whatever mode the module is in."""
    case = curved.curved(build)
    loss = PerturbedLoss(*case.arguments)
    given = parameters_of(case.parameters.float(), case.layout)
    single = {n: t.float() if t.is_floating_point() else t for n, t in case.buffers.items()}
    assert loss.base == pytest.approx(evaluate(case.module, given, single, case.data).loss, rel=1e-5)
    direction = torch.from_numpy(np.random.default_rng(0).standard_normal(len(case.parameters)))
    _, here = loss.with_gradient(torch.zeros_like(direction))
    _, there = loss.with_gradient(1e-5 * direction)
    difference = (loss(1e-5 * direction) - loss(-1e-5 * direction)) / 2e-5
    assert float(here @ direction) == pytest.approx(difference, rel=1e-5, abs=1e-8)
    product = (there - here) / 1e-5
    torch.testing.assert_close(product, case.dense @ direction, rtol=1e-2, atol=1e-2)
    assert case.module.training


def test_small_balls_and_noise_have_the_sharpness_of_the_dense_hessian():
    case = curved.curved(curved.gelu)
    loss = PerturbedLoss(*case.arguments)
    found = average(loss, torch.ones_like(case.parameters), 1e-3, 400, seed=0)
    assert abs(found.value - 1e-6 * float(case.dense.trace()) / 2) < 4 * found.standard_error
    _, gradient = loss.with_gradient(torch.zeros_like(case.parameters))
    found = worst(loss, torch.ones_like(case.parameters), 1e-4, 20, 2, seed=0)
    assert found.value == pytest.approx(1e-4 * float(gradient.norm()), rel=1e-2)


def test_a_model_whose_loss_is_not_finite_has_no_sharpness():
    start = torch.full((SIZE,), torch.nan, dtype=torch.float64)
    loss = quadratic(torch.eye(SIZE, dtype=torch.float64), start)
    assert math.isnan(worst(loss, ones(), 0.1, 5, 2, seed=0).value)
    assert math.isnan(average(loss, ones(), 0.1, 2, seed=0).value)
    assert math.isnan(rays(loss, 0.1, 2, seed=0).value)


@pytest.mark.parametrize("height", [math.inf, 1e20])
def test_a_rise_that_cannot_be_told_from_the_loss_has_no_ray(height):
    high = of_function(lambda w: 0.5 * w @ w + height, ones())
    assert math.isnan(rays(high, 0.1, 2, seed=0).value)


def test_the_ascent_may_step_through_the_model_itself():
    """L = -w^2 / 2 in one dimension: every step is as long as the way back."""
    peak = of_function(lambda w: -0.5 * w @ w, torch.zeros(1, dtype=torch.float64))
    assert worst(peak, torch.ones(1, dtype=torch.float64), 0.1, 5, 2, seed=0).value == 0


def test_the_same_seed_gives_the_same_numbers_and_more_draws_begin_with_the_same():
    loss = quadratic(symmetric(INDEFINITE), ones())
    settings = SharpnessSettings(draws=3, steps=5)
    for measure in ("worst", "average", "adaptive-worst", "adaptive-average", "rays"):
        again = [sharpness(loss, measure, 0.1, settings, seed) for seed in (0, 0, 1)]
        assert repr(again[0]) == repr(again[1])
    assert average(loss, ones(), 0.1, 3, 0).value != average(loss, ones(), 0.1, 3, 1).value
