"""The clients' optimiser against torch.optim, one optimiser per lane, and schedules against closed forms."""

import math

import numpy as np
import pytest
import torch

from fedscape.federated.optimiser import clip, learning_rate, moment_names, step
from fedscape.settings.training import Schedule, TrainingSettings

LANES, PARAMETERS, STEPS = 3, 50, 6


def randoms(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings(**{"rounds": 4, "lr": 0.1, **changes})


def in_torch(training: TrainingSettings, start, gradients, rates) -> torch.Tensor:
    """One lane's parameters after each step, [steps, P]."""
    parameter = start.clone().requires_grad_()
    if training.optimiser == "adamw":
        optimiser = torch.optim.AdamW(
            [parameter], lr=1.0, betas=tuple(training.betas), weight_decay=training.weight_decay
        )
    else:
        optimiser = torch.optim.SGD(
            [parameter],
            lr=1.0,
            momentum=training.momentum,
            nesterov=training.nesterov,
            weight_decay=training.weight_decay,
        )
    after = []
    for gradient, rate in zip(gradients, rates, strict=True):
        optimiser.param_groups[0]["lr"] = rate
        parameter.grad = gradient.clone()
        optimiser.step()
        after.append(parameter.detach().clone())
    return torch.stack(after)


@pytest.mark.parametrize("same_rate", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_decay": 0.1},
        {"momentum": 0.9},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1},
        {"optimiser": "adamw"},
        {"optimiser": "adamw", "weight_decay": 0.1},
        {"optimiser": "adamw", "betas": [0.8, 0.95]},
    ],
)
def test_every_lane_steps_as_torch_optim(changes, same_rate):
    """Lanes are at different steps: lane i joins after 2 i of them, with empty moments."""
    training = settings(**changes)
    start, gradients = randoms(LANES, PARAMETERS), randoms(STEPS, LANES, PARAMETERS, seed=1)
    gradients[2, 0] = 0  # a batch that reaches nothing: momentum and decay go on
    rates = (
        np.full((STEPS, LANES), 0.05)
        if same_rate
        else np.random.default_rng(0).uniform(0, 0.1, (STEPS, LANES))
    )
    parameters, moments = (
        start.clone(),
        {name: torch.zeros(LANES, PARAMETERS) for name in moment_names(training)},
    )
    found = [[] for _ in range(LANES)]
    for number in range(STEPS):
        lanes = [lane for lane in range(LANES) if number >= 2 * lane]
        counts = [number - 2 * lane + 1 for lane in lanes]
        rows = slice(len(lanes))
        views = {name: rows_of[rows] for name, rows_of in moments.items()}
        step(
            training,
            parameters[rows],
            gradients[number, rows].clone(),
            views,
            list(rates[number, rows]),
            counts,
        )
        for lane in lanes:
            found[lane].append(parameters[lane].clone())
    for lane in range(LANES):
        expected = in_torch(training, start[lane], gradients[2 * lane :, lane], rates[2 * lane :, lane])
        torch.testing.assert_close(torch.stack(found[lane]), expected, rtol=1e-6, atol=1e-6)


def test_adamw_that_goes_on_is_one_long_adamw():
    """Moments and the number of steps are all that a client has to keep."""
    training = settings(optimiser="adamw", weight_decay=0.1)
    start, gradients = randoms(PARAMETERS), randoms(STEPS, PARAMETERS, seed=1)
    parameters, moments = (
        start.clone()[None],
        {name: torch.zeros(1, PARAMETERS) for name in ("first", "second")},
    )
    for number in range(STEPS):
        kept = {name: moment.clone() for name, moment in moments.items()}
        step(training, parameters, gradients[number][None].clone(), kept, [0.1], [number + 1])
        moments = kept
    expected = in_torch(training, start, gradients, [0.1] * STEPS)[-1]
    torch.testing.assert_close(parameters[0], expected, rtol=1e-6, atol=1e-6)


def test_what_an_optimiser_remembers():
    assert moment_names(settings()) == ()
    assert moment_names(settings(momentum=0.9)) == ("momentum",)
    assert moment_names(settings(optimiser="adamw")) == ("first", "second")


@pytest.mark.parametrize("largest", [0.01, 1.0, 7.0, 100.0])
def test_each_lane_is_clipped_on_its_own_as_torch_does(largest):
    gradient = randoms(4, PARAMETERS) * torch.tensor([[0.01], [1.0], [30.0], [0.0]])
    expected = []
    for row in gradient:
        parameter = torch.zeros(PARAMETERS, requires_grad=True)
        parameter.grad = row.clone()
        torch.nn.utils.clip_grad_norm_([parameter], largest)
        expected.append(parameter.grad)
    clip(gradient, largest)
    torch.testing.assert_close(gradient, torch.stack(expected), rtol=1e-6, atol=0)


def rates_of(training: TrainingSettings, steps: int) -> list[float]:
    """A client's rates, step by step through all rounds."""
    return [
        learning_rate(training, number, done, steps)
        for number in range(1, training.rounds + 1)
        for done in range(steps)
    ]


def torch_rates(scheduler_of, lr: float, steps: int) -> list[float]:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = scheduler_of(optimiser)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def test_a_constant_rate():
    assert set(rates_of(settings(), 5)) == {0.1}


@pytest.mark.parametrize("steps", [1, 5])
def test_cosine_is_torchs_over_all_steps(steps):
    training = settings(schedule=Schedule(kind="cosine"))
    expected = torch_rates(
        lambda optimiser: torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=4 * steps),
        0.1,
        4 * steps,
    )
    assert rates_of(training, steps) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_steps_down_are_torchs_at_these_shares_of_all_steps():
    training = settings(rounds=10, schedule=Schedule(kind="step", decay=0.5, decay_at=[0.3, 0.55, 0.7]))
    # Of 40 steps these are 12, 22 and 28; each is the first with the lower rate.
    expected = torch_rates(
        lambda optimiser: torch.optim.lr_scheduler.MultiStepLR(optimiser, [12, 22, 28], gamma=0.5), 0.1, 40
    )
    assert rates_of(training, 4) == pytest.approx(expected, rel=1e-9)


def test_warm_up_rises_linearly_over_a_clients_first_steps():
    schedule = Schedule(warmup_steps=8, warmup_lr=0.02)
    rates = rates_of(settings(schedule=schedule), 5)  # the eighth step is in the second round
    assert rates[:8] == pytest.approx([0.02 + 0.01 * number for number in range(8)])
    assert set(rates[8:]) == {0.1}
    one, other = (
        settings(schedule=Schedule(kind=kind, warmup_steps=8, warmup_lr=0.02))
        for kind in ("constant", "cosine")
    )
    factors = [(1 + math.cos(math.pi * number / 20)) / 2 for number in range(20)]
    products = [rate * factor for rate, factor in zip(rates_of(one, 5), factors, strict=True)]
    assert rates_of(other, 5) == pytest.approx(products)


def test_clients_of_different_sizes_are_equally_far_at_the_start_of_a_round():
    training = settings(schedule=Schedule(kind="cosine"))
    for number in range(1, 5):
        assert learning_rate(training, number, 0, 3) == pytest.approx(learning_rate(training, number, 0, 70))
        assert learning_rate(training, number, 1, 3) == pytest.approx(learning_rate(training, number, 20, 60))
