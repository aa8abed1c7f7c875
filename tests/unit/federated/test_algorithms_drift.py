"""Rules that correct clients' drift or average otherwise: against the papers' algorithms written out by hand,
closed forms, and problems whose optimum is known."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from engine_helpers import assert_close_but_for_kinks
from small_federation import (
    GROUPED,
    RESIDUAL,
    SIZES,
    TRAINING,
    context_of,
    gradient_of,
    network,
    play,
    rule,
    samples,
)
from torch import Tensor, nn

from fedscape.checkpoints.layout import Layout, buffers_of, layout_of, parameters_of
from fedscape.federated.aggregate import Gathering
from fedscape.federated.lanes import Lanes
from fedscape.federated.normaliser import accumulated_weight
from fedscape.federated.optimiser import learning_rate
from fedscape.federated.rule import Client, ClientResult, Context, Contribution
from fedscape.federated.state import ModelState
from fedscape.settings.training import Schedule, TrainingSettings

Gradient = Callable[[Tensor], Tensor]
FULL = {"model": GROUPED, "batch_size": 100, "lr": 0.05, "local_epochs": 3}
"""Clients that descend by full batches, so that a loop by hand needs to know no order of samples."""


def model_of(parameters: Tensor) -> ModelState:
    return ModelState(parameters, torch.empty(0), torch.empty(0, dtype=torch.int64))


def result_of(parameters: Tensor, rates: Sequence[float], momentum: float = 0.0) -> ClientResult:
    """As the lanes report a client that took steps of these rates."""
    return ClientResult(
        client=0,
        samples=1,
        loss=0.0,
        model=model_of(parameters),
        steps=len(rates),
        rates=tuple(rates),
        gradient_weight=accumulated_weight(rates, momentum),
        moments={},
    )


@dataclass
class Simulation:
    """A rule's functions applied to clients whose gradients are formulas, without engine or network.

    shares: n_i N / n of each client. steps: that each takes in a round.
    """

    algorithm: str
    settings: dict
    clients: Sequence[Gradient]
    shares: Sequence[float]
    steps: Sequence[int]
    lr: float = 0.1
    momentum: float = 0.0
    weighted: bool = False  # by shares, else uniformly
    decay: float = 1.0  # factor on the rate from a client's step to its next

    def run(
        self, start: Tensor, rounds: int, participating: Callable[[int], Sequence[int]] | None = None
    ) -> Tensor:
        """The last global parameters."""
        client_rule = rule(self.algorithm, **self.settings)
        layout = Layout((("weight", tuple(start.shape)),), (), ())
        training = TrainingSettings(**{**vars(TRAINING), "lr": self.lr, "momentum": self.momentum})
        shared = {name: torch.zeros(size) for name, size in client_rule.shared_state(layout).items()}
        empty = {name: torch.zeros(size) for name, size in client_rule.client_state(layout).items()}
        kept = [dict(empty) for _ in self.clients]
        for number in range(1, rounds + 1):
            context = Context(
                client_rule.settings, training, number, len(self.clients), model_of(start), layout, shared
            )
            chosen = range(len(self.clients)) if participating is None else participating(number)
            gathering = Gathering(model_of(start))
            for client in chosen:
                contribution, end = self._client(client_rule, context, client, kept[client])
                kept[client] = dict(contribution.state)
                weight = self.shares[client] if self.weighted else 1.0
                gathering.add(model_of(end), weight, contribution)
            start, shared = client_rule.aggregate(gathering.gathered(), context)
        return start

    def _client(self, client_rule, context: Context, client: int, state: dict) -> tuple[Contribution, Tensor]:
        share = torch.tensor(self.shares[client])
        known = Client(share, torch.tensor(1.0), state)
        end, velocity = context.start.parameters, 0.0
        rates = [self.lr * self.decay**step for step in range(self.steps[client])]
        for rate in rates:
            gradient = self.clients[client](end)
            if client_rule.adjust_gradient:
                gradient = client_rule.adjust_gradient(gradient, end, known, context)
            velocity = self.momentum * velocity + gradient
            end = end - rate * velocity
        return client_rule.after_client(result_of(end, rates, self.momentum), known, context), end


# Quadratic clients f_i = 1/2 (w - b_i)' A_i (w - b_i), whose optima differ
CURVATURES = torch.tensor([[1.0, 3.0], [4.0, 0.5], [2.0, 2.0]])
OPTIMA = torch.tensor([[1.0, -2.0], [0.0, 3.0], [-1.0, 1.0]])


def quadratic(client: int) -> Gradient:
    return lambda here: CURVATURES[client] * (here - OPTIMA[client])


def optimum(weights: Sequence[float]) -> Tensor:
    """Of the weighted sum of the quadratic clients."""
    weighted = torch.tensor(weights)[:, None] * CURVATURES
    return (weighted * OPTIMA).sum(0) / weighted.sum(0)


@pytest.mark.parametrize(
    ("algorithm", "settings", "shares", "momentum"),
    [
        ("scaffold", {}, (1.0, 1.0, 1.0), 0.0),
        ("scaffold", {}, (1.0, 1.0, 1.0), 0.9),
        ("feddyn", {"alpha": 1.0}, (1.0, 1.0, 1.0), 0.0),
        # With alpha / share it is the optimum of the samples together, though the means are uniform.
        ("feddyn", {"alpha": 1.0}, (0.5, 1.0, 1.5), 0.0),
    ],
)
def test_corrected_clients_meet_at_the_common_optimum(algorithm, settings, shares, momentum):
    clients = [quadratic(client) for client in range(3)]
    # FedDyn's theory has clients that solve their problems; twenty steps are near enough.
    steps = (20, 20, 20) if algorithm == "feddyn" else (4, 7, 5)
    simulation = Simulation(algorithm, settings, clients, shares, steps, lr=0.05, momentum=momentum)
    start = torch.tensor([3.0, 3.0])
    everyone = simulation.run(start, 100)
    torch.testing.assert_close(everyone, optimum(shares), rtol=0, atol=1e-3)
    # Two of three at a time: what an absent client keeps is old, and the optimum the same.
    some = simulation.run(start, 200, lambda number: [number % 3, (number + 1) % 3])
    torch.testing.assert_close(some, optimum(shares), rtol=0, atol=1e-3)
    uncorrected = Simulation("fedavg", {}, clients, shares, steps, lr=0.05, weighted=True).run(start, 100)
    assert (uncorrected - optimum(shares)).abs().max() > 0.05, "FedAvg ends elsewhere"


# SCAFFOLD


def control_variates(played, number: int) -> Tensor:
    return torch.stack([kept["rule.control"] for kept in played.kept[number - 1]])


def test_the_servers_control_variate_is_the_mean_of_all_clients():
    played = play("scaffold", rounds=4, participation=0.5, model=RESIDUAL, lanes=2, momentum=0.5)
    assert len({tuple(results) for results in played.results}) > 1
    for number in range(1, 5):
        control = played.states[number].shared["control"]
        assert control.abs().max() > 0.01
        mean = control_variates(played, number).mean(0)
        torch.testing.assert_close(control, mean, rtol=1e-4, atol=1e-6)


def test_scaffold_by_hand():
    """Algorithm 1 with option II: full batches, three local steps, three rounds, half of the clients."""
    played = play("scaffold", rounds=3, participation=0.5, **FULL)
    lr, steps, count = FULL["lr"], FULL["local_epochs"], len(SIZES)
    data = samples(sum(SIZES))
    gradients = [gradient_of(network(GROUPED), data, positions) for positions in played.clients]
    x, c = played.parameters[0], torch.zeros_like(played.parameters[0])
    own = [torch.zeros_like(c) for _ in range(count)]
    for number, results in enumerate(played.results, start=1):
        ends, changes = [], []
        for i in results:
            y = x
            for _ in range(steps):
                y = y - lr * (gradients[i](y) - own[i] + c)
            after = own[i] - c + (x - y) / (steps * lr)
            changes.append(after - own[i])
            ends.append(y)
            own[i] = after
        x = x + (torch.stack(ends) - x).mean(0)
        c = c + len(results) / count * torch.stack(changes).mean(0)
        torch.testing.assert_close(played.parameters[number], x, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(played.states[number].shared["control"], c, rtol=1e-3, atol=1e-5)
        for i in range(count):
            torch.testing.assert_close(control_variates(played, number)[i], own[i], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_a_control_variate_is_the_gradient_where_that_is_constant(momentum):
    """Also with momentum, where dividing by K lr, as others do, would give several times the gradient."""
    generator = torch.Generator().manual_seed(0)
    gradient, mine, servers = torch.randn(3, 5, generator=generator)
    client_rule, start = rule("scaffold"), torch.randn(5, generator=generator)
    here = start.clone().requires_grad_()
    optimiser = torch.optim.SGD([here], lr=0.1, momentum=momentum)
    client = Client(torch.tensor(1.0), torch.tensor(1.0), {"control": mine})
    training = TrainingSettings(rounds=1, lr=0.1, momentum=momentum)
    layout = Layout((("weight", (5,)),), (), ())
    context = Context(client_rule.settings, training, 1, 4, model_of(start), layout, {"control": servers})
    for _ in range(6):
        here.grad = client_rule.adjust_gradient(gradient, here.detach(), client, context)
        optimiser.step()
    contribution = client_rule.after_client(result_of(here.detach(), 6 * [0.1], momentum), client, context)
    torch.testing.assert_close(contribution.state["control"], gradient, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(contribution.sums["control"], gradient - mine, rtol=1e-4, atol=1e-5)


def test_a_client_that_has_not_moved_yet_keeps_its_control_variate():
    """A warm-up from 0 gives the only step of a small client no length."""
    played = play("scaffold", sizes=(3, 4), schedule=Schedule(warmup_steps=5))
    assert torch.equal(played.parameters[0], played.parameters[1])
    assert not control_variates(played, 1).any()
    assert torch.isfinite(played.parameters[2]).all()
    assert control_variates(played, 2).abs().max() > 0.01


# FedDyn


def test_feddyn_adds_the_gradient_of_its_objective():
    client_rule, module = rule("feddyn", alpha=0.2), network()
    generator = torch.Generator().manual_seed(0)
    count = layout_of(module).parameter_count
    gradient, parameters, changes = (torch.randn(3, count, generator=generator) for _ in range(3))
    shares = torch.tensor([0.5, 1.0, 2.0])
    context = context_of(client_rule, module, layout_of(module))
    lanes = Client(shares[:, None], torch.ones(3, 1), {"changes": changes})
    adjusted = client_rule.adjust_gradient(gradient, parameters, lanes, context)
    for lane in range(3):
        w, alpha = parameters[lane].clone().requires_grad_(), 0.2 / shares[lane]
        objective = alpha * (w @ (changes[lane] - context.start.parameters)) + alpha / 2 * w.square().sum()
        objective.backward()
        torch.testing.assert_close(adjusted[lane] - gradient[lane], w.grad, rtol=1e-4, atol=1e-5)


def test_feddyn_by_hand():
    """The paper's algorithm 1: linear terms of remembered gradients, and the server's h."""
    alpha, count = 0.5, len(SIZES)
    played = play("feddyn", {"alpha": alpha}, rounds=3, participation=0.5, **FULL)
    data, mean_size = samples(sum(SIZES)), sum(SIZES) / count
    gradients = [gradient_of(network(GROUPED), data, positions) for positions in played.clients]
    theta, h = played.parameters[0], torch.zeros_like(played.parameters[0])
    remembered = [torch.zeros_like(h) for _ in range(count)]  # gradient of f_k at its last model
    for number, results in enumerate(played.results, start=1):
        ends = []
        for k in results:
            own_alpha = alpha / (SIZES[k] / mean_size)
            w = theta
            for _ in range(FULL["local_epochs"]):
                w = w - FULL["lr"] * (gradients[k](w) - remembered[k] + own_alpha * (w - theta))
            remembered[k] = remembered[k] - own_alpha * (w - theta)
            ends.append(w)
        h = h - alpha / count * sum(w - theta for w in ends)
        theta = torch.stack(ends).mean(0) - h / alpha
        torch.testing.assert_close(played.parameters[number], theta, rtol=1e-4, atol=1e-5)
    assert len({tuple(results) for results in played.results}) > 1


# FedNova

FALLING = Schedule(kind="step", decay=0.5, decay_at=[0.15, 0.5], warmup_steps=2, warmup_lr=1e-3)


def test_fednova_knows_the_rates_of_unequal_steps():
    """Quadratic clients under a falling rate, in closed form: c (w - b) shrinks by 1 - eta_k c a step."""
    lr, decay, steps, shares = 0.2, 0.5, (1, 6), (0.5, 1.5)
    curvatures, optima = (1.0, 2.0), (torch.tensor([1.0, -2.0]), torch.tensor([-3.0, 0.5]))
    clients = [lambda w, c=c, b=b: c * (w - b) for c, b in zip(curvatures, optima, strict=True)]
    start, length, direction = torch.tensor([3.0, 3.0]), 0.0, torch.zeros(2)
    for count, share, c, b in zip(steps, shares, curvatures, optima, strict=True):
        left = math.prod(1 - c * lr * decay**step for step in range(count))
        weight = lr * (1 - decay**count) / (1 - decay)
        direction += share / 2 * (1 - left) * (start - b) / weight
        length += share / 2 * weight
    simulation = Simulation("fednova", {}, clients, shares, steps, lr=lr, weighted=True, decay=decay)
    torch.testing.assert_close(simulation.run(start, 1), start - length * direction)


def test_fednova_begins_from_a_warm_up_from_nothing():
    """A client whose only step has rate 0 says nothing of where to go."""
    played = play("fednova", sizes=(3, 4), schedule=Schedule(warmup_steps=5))
    assert torch.equal(played.parameters[0], played.parameters[1])
    assert torch.isfinite(played.parameters[2]).all()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_normaliser_with_momentum(momentum, steps):
    closed = (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)
    rates = steps * [0.1]
    assert accumulated_weight(rates, momentum) == pytest.approx(0.1 * closed)
    # The way of torch's SGD under a gradient of one everywhere.
    here = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([here], lr=0.1, momentum=momentum)
    for _ in range(steps):
        here.grad = torch.ones_like(here)
        optimiser.step()
    assert accumulated_weight(rates, momentum) == pytest.approx(-here.item())


def test_lanes_report_the_weight_of_a_clients_gradients():
    """Also where the rate changes from step to step: how far constant gradients of one would have led."""
    schedule = Schedule(kind="cosine", warmup_steps=4, warmup_lr=1e-4)
    played = play("fedavg", momentum=0.9, schedule=schedule, lanes=3, local_epochs=2)
    training = TrainingSettings(**vars(TRAINING) | {"schedule": schedule})
    for number, results in enumerate(played.results, start=1):
        for result in results.values():
            here = torch.zeros(1, dtype=torch.float64, requires_grad=True)
            optimiser = torch.optim.SGD([here], lr=1.0, momentum=0.9)
            for step in range(result.steps):
                optimiser.param_groups[0]["lr"] = learning_rate(training, number, step, result.steps)
                here.grad = torch.ones_like(here)
                optimiser.step()
            assert result.gradient_weight == pytest.approx(-here.item())


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_normaliser_with_a_proximal_term(steps):
    lr, mu = 0.1, 0.7
    assert accumulated_weight(steps * [lr], mu=mu) == pytest.approx((1 - (1 - lr * mu) ** steps) / mu)
    here, rates = 0.0, [lr / (1 + step) for step in range(steps)]
    for rate in rates:
        here -= rate * (1 + mu * here)
    assert accumulated_weight(rates, mu=mu) == pytest.approx(-here)


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({}, {}),
        ({}, {"momentum": 0.5}),
        ({"mu": 2.0}, {}),
        ({}, {"weights": "uniform", "participation": 0.5}),
        ({}, {"momentum": 0.5, "schedule": FALLING}),
        ({"mu": 2.0}, {"schedule": FALLING}),
    ],
)
def test_fednova_by_hand(settings, changes):
    """Clients of many sizes and epochs; the average is written out in float64 from what they end with."""
    played = play("fednova", settings, sizes=(9, 3, 6, 16), lr=0.05, rounds=3, **changes)
    momentum, mu, elsewhere = changes.get("momentum", 0.0), settings.get("mu", 0.0), []
    training = TrainingSettings(**vars(TRAINING) | {"lr": 0.05, "rounds": 3} | changes)
    for number, results in enumerate(played.results, start=1):
        before = played.parameters[number - 1].double()
        weigh = {i: 1.0 if "weights" in changes else result.samples for i, result in results.items()}
        total = sum(weigh.values())
        effective, direction = 0.0, torch.zeros_like(before)
        for i, result in results.items():
            a, counter, length = 0.0, 0.0, 0.0
            for step in range(result.steps):
                rate = learning_rate(training, number, step, result.steps)
                counter = momentum * counter + 1
                a = (1 - rate * mu) * a + rate * counter
                length += rate
            direction += weigh[i] / total * (before - result.model.parameters) / a
            effective += weigh[i] / total * (length if mu else a)
        expected = (before - effective * direction).float()
        torch.testing.assert_close(played.parameters[number], expected, rtol=0, atol=1e-6)
        mean = sum(weigh[i] / total * result.model.parameters for i, result in results.items())
        if len({result.steps for result in results.values()}) > 1:
            elsewhere.append((played.parameters[number] - mean).abs().max())
    assert min(elsewhere) > 1e-3, "FedAvg goes elsewhere"


def test_fednova_weighs_objectives_and_not_steps():
    """Under constant gradients G_i the way is a multiple of sum p_i G_i, however many steps each takes."""
    slopes = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, -1.0]])
    arguments = [lambda here: slopes[0], lambda here: slopes[1]], (0.5, 1.5), (2, 11)
    start = torch.zeros(3)
    for momentum, decay in ((0.0, 1.0), (0.9, 1.0), (0.0, 0.7), (0.9, 0.7)):
        changes = {"lr": 0.01, "momentum": momentum, "decay": decay, "weighted": True}
        ends = {
            name: Simulation(name, {}, *arguments, **changes).run(start, 1) for name in ("fednova", "fedavg")
        }
        wanted = -(0.25 * slopes[0] + 0.75 * slopes[1])
        cosines = {name: torch.cosine_similarity(end, wanted, dim=0) for name, end in ends.items()}
        assert cosines["fednova"] == pytest.approx(1, abs=1e-6)
        assert cosines["fedavg"] < 0.999


# MimeLite


def test_a_clients_start_gradient_is_that_of_all_its_samples():
    """Short batches and all: the mean over batches weighs samples alike."""
    client_rule, data = rule("mimelite"), samples(11)
    lanes = Lanes(network(GROUPED), data, TRAINING, 1, 0)
    start, positions = lanes.state.clone(), np.arange(1, 11)
    context = context_of(client_rule, network(GROUPED), lanes.layout)
    task = SimpleNamespace(positions=positions)
    client = Client(torch.tensor(1.0), torch.tensor(0.0), {})
    found = lanes.start_gradient(start, task, client, client_rule, context)
    expected = gradient_of(network(GROUPED), data, positions)(start.parameters)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_start_gradient_leaves_the_running_statistics_alone():
    client_rule, data = rule("mimelite"), samples(11)
    lanes = Lanes(network(RESIDUAL), data, TRAINING, 1, 0)
    before = lanes.state.clone()
    context = context_of(client_rule, network(RESIDUAL), lanes.layout)
    client = Client(torch.tensor(1.0), torch.tensor(0.0), {})
    found = lanes.start_gradient(
        before, SimpleNamespace(positions=np.arange(11)), client, client_rule, context
    )
    assert found.any()
    for vector, its in zip(lanes.state.vectors, before.vectors, strict=True):
        assert torch.equal(vector, its)


def test_mimelite_by_hand():
    """Three local steps with the server's momentum, which takes in the participants' gradients at the start."""
    beta = 0.9
    played = play("mimelite", {"beta": beta}, rounds=3, participation=0.5, **FULL)
    data = samples(sum(SIZES))
    gradients = [gradient_of(network(GROUPED), data, positions) for positions in played.clients]
    x, m = played.parameters[0], torch.zeros_like(played.parameters[0])
    for number, results in enumerate(played.results, start=1):
        total = sum(SIZES[i] for i in results)
        mean, full = torch.zeros_like(x), torch.zeros_like(x)
        for i in results:
            y = x
            for _ in range(FULL["local_epochs"]):
                y = y - FULL["lr"] * (gradients[i](y) + beta * m)
            mean += SIZES[i] / total * y
            full += SIZES[i] / total * gradients[i](x)
        x, m = mean, beta * m + full
        torch.testing.assert_close(played.parameters[number], x, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(played.states[number].shared["momentum"], m, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_mimelite_with_one_step_is_central_sgd_with_momentum(weight_decay):
    arguments = FULL | {"local_epochs": 1, "weight_decay": weight_decay, "rounds": 4}
    played = play("mimelite", {"beta": 0.9}, **arguments)
    gradient = gradient_of(network(GROUPED), samples(sum(SIZES)), np.arange(sum(SIZES)))
    here = played.parameters[0].clone().requires_grad_()
    optimiser = torch.optim.SGD([here], lr=FULL["lr"], momentum=0.9, weight_decay=weight_decay)
    for number in range(1, 5):
        here.grad = gradient(here)
        optimiser.step()
        assert_close_but_for_kinks(played.parameters[number], here.detach(), rtol=1e-4, atol=1e-5)
        here.data.copy_(played.parameters[number])


# FedBN


def own_names(module: nn.Module) -> set[str]:
    """Parameters and statistics of the batch-norm layers."""
    layers = [name for name, layer in module.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    return {
        f"{layer}.{name}" for layer in layers for name in ("weight", "bias", "running_mean", "running_var")
    }


def test_fedbn_clients_begin_with_their_own_batch_norm():
    module = network()
    names = own_names(module)
    assert any(".around." in name for name in names), "also those in shortcuts"
    played = play("fedbn", participation=0.5, rounds=3, lr=0.05)
    client_rule, layout = rule("fedbn"), played.layout
    last: dict[int, dict[str, Tensor]] = {}
    for number, results in enumerate(played.results, start=1):
        state = played.states[number - 1].model
        start = state.named(layout)
        context = context_of(client_rule, module, layout, start=state)
        for client in results:
            kept = played.kept[number - 2][client] if number > 1 else {}
            mine = {key.removeprefix("rule."): vector for key, vector in kept.items()}
            known = torch.tensor(float(client in last))
            begin = client_rule.start(Client(torch.tensor(1.0), known, mine), context).named(layout)
            for name, tensor in begin.items():
                own = client in last and name in names
                assert torch.equal(tensor, last[client][name] if own else start[name]), name
        last |= {client: result.model.named(layout) for client, result in results.items()}
    seen = [set(results) for results in played.results]
    assert seen[0] & (seen[1] | seen[2]), "somebody came back"


def test_fedbn_averages_everything_uniformly():
    played = play("fedbn", rounds=2, lr=0.05)
    for number, results in enumerate(played.results, start=1):
        state = played.states[number].model
        models = [result.model for result in results.values()]
        mean = torch.stack([model.parameters for model in models]).double().mean(0).float()
        torch.testing.assert_close(state.parameters, mean, rtol=0, atol=1e-7)
        statistics = torch.stack([model.buffers for model in models]).double().mean(0).float()
        torch.testing.assert_close(state.buffers, statistics)


def test_others_batch_norm_does_not_reach_a_fedbn_client():
    """Two federations whose other client differs: what is kept of the first may only differ by the rest."""
    client_rule, module = rule("fedbn"), network()
    layout, names = layout_of(module), own_names(module)
    mine = client_rule.client_state(layout)
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.rand(length, generator=generator) for name, length in mine.items()}
    client = Client(torch.tensor(1.0), torch.tensor(1.0), state)
    here, there = ModelState.of(module), ModelState.of(module)
    for name, tensor in (
        parameters_of(there.parameters, layout) | buffers_of(there.buffers, there.counters, layout)
    ).items():
        if name in names:
            tensor.add_(1.0)
    begins = [
        client_rule.start(client, context_of(client_rule, module, layout, start=start))
        for start in (here, there)
    ]
    assert torch.equal(begins[0].parameters, begins[1].parameters)
    assert torch.equal(begins[0].buffers, begins[1].buffers)
    assert sum(mine.values()) == sum(
        tensor.numel() for name, tensor in module.state_dict().items() if name in names
    )


def test_default_weights_are_those_of_the_papers():
    uniform = {
        name
        for name in ("fedavg", "scaffold", "feddyn", "fednova", "mimelite", "fedbn")
        if getattr(rule(name).module, "WEIGHTS", "size") == "uniform"
    }
    assert uniform == {"scaffold", "feddyn", "fedbn"}
