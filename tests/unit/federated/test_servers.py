"""Server rules against torch.optim on the pseudo-gradient -Δ, numbers worked out by hand, and algorithm 2."""

import math

import pytest
import torch

from fedscape.checkpoints.state_dicts import read_weights, write_weights
from fedscape.errors import FedscapeError
from fedscape.federated.servers import adagrad, adam, average, fedexp, momentum, yogi
from fedscape.plugins import Plugin
from fedscape.study.catalog import names, plugin

ROUNDS, SIZE = 6, 40
RULES = {
    "average": (average, {}),
    **{f"momentum {form}": (momentum, {"form": form}) for form in ("heavy", "dampened", "nesterov")},
    "adam": (adam, {}),
    "adam corrected": (adam, {"bias_correction": True}),
    "yogi": (yogi, {}),
    "yogi corrected": (yogi, {"bias_correction": True}),
    "adagrad": (adagrad, {"beta1": 0.5}),
    "fedexp": (fedexp, {}),
}
every_rule = pytest.mark.parametrize("rule", RULES)


def changes(rounds: int = ROUNDS, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """What clients agree on, round by round; one parameter is never changed."""
    drawn = torch.randn(rounds, SIZE, dtype=dtype, generator=torch.Generator().manual_seed(0))
    drawn[:, 0] = 0
    return drawn


def start(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(SIZE, dtype=dtype, generator=torch.Generator().manual_seed(1))


def walk(module, settings: dict, deltas: torch.Tensor, parameters: torch.Tensor | None = None):
    """Models after each of the rounds [rounds, P] and the last state, of clients that move by `deltas`."""
    parameters, state, models = start(deltas.dtype) if parameters is None else parameters, {}, []
    for delta in deltas:
        parameters, state = module.step(module.Settings(**settings), parameters, parameters + delta, state)
        models.append(parameters)
    return torch.stack(models), state


def walk_of(optimiser_class, deltas: torch.Tensor, prepare=lambda state: None, **settings) -> torch.Tensor:
    """The same, of one of torch's optimisers with the gradient -Δ."""
    parameters = start(deltas.dtype).requires_grad_()
    optimiser = optimiser_class([parameters], **settings)
    prepare(optimiser.state[parameters])
    models = []
    for delta in deltas:
        parameters.grad = -delta
        optimiser.step()
        models.append(parameters.detach().clone())
    return torch.stack(models)


@pytest.mark.parametrize(("form", "nesterov"), [("heavy", False), ("nesterov", True)])
def test_momentum_is_sgd_on_the_pseudo_gradient(form, nesterov):
    ours, _ = walk(momentum, {"form": form, "momentum": 0.8, "lr": 0.3}, changes())
    torch.testing.assert_close(
        ours, walk_of(torch.optim.SGD, changes(), lr=0.3, momentum=0.8, nesterov=nesterov)
    )


def test_dampened_momentum_is_dampened_sgd_from_an_empty_velocity():
    def empty_velocity(state):  # torch's own first velocity is the gradient, not dampened
        state["momentum_buffer"] = torch.zeros(SIZE, dtype=torch.float64)

    settings = {"lr": 0.3, "momentum": 0.8}
    ours, _ = walk(momentum, {"form": "dampened", **settings}, changes())
    theirs = walk_of(torch.optim.SGD, changes(), empty_velocity, dampening=0.8, **settings)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("form", ["heavy", "dampened", "nesterov"])
def test_without_momentum_the_server_is_the_plain_one_to_the_last_bit(form):
    settings = momentum.Settings(momentum=0.0, lr=1.0, form=form)
    parameters, state = 1e3 * start(torch.float32), {}
    for aggregate in changes(dtype=torch.float32):
        plain, _ = average.step(average.Settings(), parameters, aggregate, {})
        parameters, state = momentum.step(settings, parameters, aggregate, state)
        assert torch.equal(parameters, plain)


def test_corrected_adam_is_torchs():
    settings = {"lr": 0.2, "beta1": 0.8, "beta2": 0.95, "tau": 0.01}
    ours, _ = walk(adam, {**settings, "bias_correction": True}, changes())
    theirs = walk_of(torch.optim.Adam, changes(), lr=0.2, betas=(0.8, 0.95), eps=0.01)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("first", [0.0, 0.3])
def test_adagrad_without_momentum_is_torchs(first):
    ours, _ = walk(adagrad, {"lr": 0.2, "tau": 0.01, "initial_second_moment": first}, changes())
    theirs = walk_of(torch.optim.Adagrad, changes(), lr=0.2, eps=0.01, initial_accumulator_value=first)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["adam", "yogi", "adagrad"])
def test_adaptive_rules_follow_algorithm_2(name):
    """The paper's loop, a parameter at a time in Python numbers."""
    lr, beta1, beta2, tau, first = 0.2, 0.7, 0.9, 0.05, 0.05**2
    module = {"adam": adam, "yogi": yogi, "adagrad": adagrad}[name]
    settings = {"lr": lr, "beta1": beta1, "tau": tau, "initial_second_moment": first}
    ours, _ = walk(module, settings | ({} if name == "adagrad" else {"beta2": beta2}), changes())
    for place in range(SIZE):
        x, m, v = start()[place].item(), 0.0, first
        for number, delta in enumerate(changes()[:, place].tolist()):
            m = beta1 * m + (1 - beta1) * delta
            if name == "adam":
                v = beta2 * v + (1 - beta2) * delta**2
            elif name == "adagrad":
                v = v + delta**2
            elif v != delta**2:
                v = v - (1 - beta2) * delta**2 * (1 if v > delta**2 else -1)
            x = x + lr * m / (math.sqrt(v) + tau)
            assert ours[number, place].item() == pytest.approx(x, rel=1e-12)


def test_yogi_by_hand():
    """β1 = 0, β2 = 1/2, τ = 1, η = 1: Δ = 4, 2, 2, 0 give v = 8, 6, 4, 4 and steps Δ / (sqrt(v) + 1)."""
    deltas = torch.tensor([[4.0], [2.0], [2.0], [0.0]], dtype=torch.float64)
    settings = {"lr": 1.0, "beta1": 0.0, "beta2": 0.5, "tau": 1.0}
    models, state = walk(yogi, settings, deltas, torch.zeros(1, dtype=torch.float64))
    steps = models[:, 0].diff(prepend=torch.zeros(1)).tolist()
    assert steps == pytest.approx([4 / (math.sqrt(8) + 1), 2 / (math.sqrt(6) + 1), 2 / 3, 0.0])
    assert state["second_moment"].item() == 4.0


def test_bias_corrected_moments_of_a_constant_change_are_the_change_and_its_square():
    """So each step of Adam is η Δ / (|Δ| + τ), from the first on."""
    delta = changes()[0]
    models, _ = walk(adam, {"lr": 0.5, "tau": 0.1, "bias_correction": True}, delta.expand(ROUNDS, SIZE))
    wanted = (0.5 * delta / (delta.abs() + 0.1)).expand(ROUNDS, SIZE)
    torch.testing.assert_close(models.diff(dim=0, prepend=start()[None]), wanted)


@every_rule
def test_a_rule_moves_only_what_the_clients_moved(rule):
    module, settings = RULES[rule]
    models, _ = walk(module, settings, changes(dtype=torch.float32))
    assert torch.equal(models[:, 0], start(torch.float32)[0].expand(ROUNDS))
    assert (models[-1, 1:] != start(torch.float32)[1:]).all()


@every_rule
def test_a_rule_changes_nothing_that_it_is_given(rule):
    module, settings = RULES[rule]
    _, state = walk(module, settings, changes(2, torch.float32))
    given = {"parameters": start(torch.float32), "aggregate": changes(1, torch.float32)[0], **state}
    before = {name: tensor.clone() for name, tensor in given.items()}
    _, after = module.step(module.Settings(**settings), given["parameters"], given["aggregate"], state)
    assert all(torch.equal(given[name], before[name]) for name in given)
    assert after.keys() == state.keys()


@every_rule
def test_a_rule_goes_on_from_its_state_on_disk(rule, tmp_path):
    module, settings = RULES[rule]
    deltas = changes(dtype=torch.float32)
    whole, _ = walk(module, settings, deltas)
    models, state = walk(module, settings, deltas[:3])
    write_weights(tmp_path / "state.safetensors", {"parameters": models[-1], **state})
    state = read_weights(tmp_path / "state.safetensors")
    parameters = state.pop("parameters")
    for number, delta in enumerate(deltas[3:], start=3):
        parameters, state = module.step(module.Settings(**settings), parameters, parameters + delta, state)
        assert torch.equal(parameters, whole[number])
        assert {tensor.dtype for tensor in state.values()} <= {torch.float32, torch.int64}


def extrapolated(updates: torch.Tensor, weights: torch.Tensor, epsilon: float = 1e-12) -> torch.Tensor:
    """What FedExP makes of clients' updates [M, P]: the change that it gives the server."""
    parameters, weights = start(updates.dtype), weights / weights.sum()
    squares = (weights * updates.square().sum(1)).sum()
    mean = weights @ updates
    settings = fedexp.Settings(epsilon=epsilon)
    return fedexp.extrapolate(settings, parameters, parameters + mean, squares) - parameters


@pytest.mark.parametrize("clients", [1, 2, 3, 8])
def test_fedexp_goes_half_as_many_times_further_as_there_are_orthogonal_clients(clients):
    updates, even = 3 * torch.eye(SIZE, dtype=torch.float64)[:clients], torch.ones(clients).double()
    expected = max(1, clients / 2) * updates.mean(0)
    torch.testing.assert_close(extrapolated(updates, even), expected, rtol=1e-9, atol=1e-12)


def test_fedexp_follows_clients_that_agree_to_the_last_bit():
    parameters, aggregate = start(torch.float32), changes(1, torch.float32)[0]
    squares = (aggregate - parameters).double().square().sum()
    settings = fedexp.Settings()
    assert torch.equal(fedexp.extrapolate(settings, parameters, aggregate, squares), aggregate)


def test_fedexp_by_hand():
    updates, weights = torch.tensor([[4.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]).double(), torch.tensor([2.0, 1, 1])
    grown = torch.zeros(3, SIZE).double()
    grown[:, :2] = updates
    # mean (5/4, 1/2), its square 29/16; mean of the squares (2 * 16 + 4 + 9) / 4 = 45/4
    expected = (45 / 4) / (2 * (29 / 16 + 0.5)) * torch.tensor([1.25, 0.5]).double()
    found = extrapolated(grown, weights.double(), epsilon=0.5)
    torch.testing.assert_close(found[:2], expected, rtol=1e-9, atol=1e-12)
    assert extrapolated(grown[:2], torch.tensor([1.0, 1.0]).double(), epsilon=1e6).norm() < 2.3


def test_every_rule_is_among_those_that_are_tested():
    assert set(names("server")) == {rule.split()[0] for rule in RULES}


@every_rule
def test_settings_stand_by_themselves(rule):
    """As the study layer reads them, from the file's syntax tree."""
    module, settings = RULES[rule]
    kind = rule.split()[0]
    checked = plugin("server", kind, settings, "methods.x.server")
    assert checked == Plugin(kind, vars(module.Settings(**settings)))


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("momentum", {"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ("momentum", {"lr": 0}, "lr must be > 0 and finite, got 0"),
        ("momentum", {"form": "light"}, "expected one of heavy, dampened, nesterov"),
        ("adam", {"lr": math.nan}, "lr must be > 0 and finite, got nan"),
        ("adam", {"beta2": 1.0}, r"beta2 must be in \[0, 1\), got 1.0"),
        ("adam", {"bias_correction": True, "initial_second_moment": 0.1}, "starts at 0 only"),
        ("yogi", {"tau": 0.0}, "tau must be > 0 and finite, got 0.0"),
        ("yogi", {"bias_correction": True, "initial_second_moment": 0.1}, "starts at 0 only"),
        ("yogi", {"initial_second_moment": -1.0}, "initial_second_moment must be >= 0 and finite, got -1.0"),
        ("adagrad", {"beta1": -0.1}, r"beta1 must be in \[0, 1\), got -0.1"),
        ("adagrad", {"beta2": 0.9}, "unknown key 'beta2'"),
        ("fedexp", {"epsilon": 0.0}, "epsilon must be > 0 and finite, got 0.0"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(kind, values, message):
    with pytest.raises(FedscapeError, match=message) as refused:
        plugin("server", kind, values, "study.yaml: methods.x.server")
    assert "\n" not in str(refused.value) and str(refused.value).startswith("study.yaml: methods.x.server")
