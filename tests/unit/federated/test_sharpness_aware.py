"""Sharpness-aware rules against the papers' updates written out in NumPy, on clients whose losses are quadratic, and
against closed forms."""

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_federation import (
    GROUPED,
    RESIDUAL,
    SIZES,
    Played,
    context_of,
    gradient_of,
    network,
    play,
    rule,
    samples,
)
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import Layout, layout_of
from fedscape.federated.algorithms import feddecorr
from fedscape.federated.network import Network
from fedscape.federated.perturbation import along, moved, sharpness_aware
from fedscape.federated.rule import Batch, Client
from fedscape.plugins import load
from fedscape.settings.training import Pruning, SharpnessAware

ROUNDS, STEPS, LR, RHO = 3, 3, 0.05, 2.0
ASAM = SharpnessAware(rho=RHO, adaptive=True, eta=0.1)
QUADRATIC = {
    "model": GROUPED, "batch_size": 100, "lr": LR, "local_epochs": STEPS, "rounds": ROUNDS, "participation": 0.5,
    "weights": "uniform",
}  # fmt: skip
Vector = np.ndarray


def constants(count: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Curvatures and optima [P] of the losses."""
    places = torch.arange(count, dtype=like.dtype)
    return 0.5 + 2 * places / count, places.sin()


def quadratic(network, parameters, batch, client, context) -> torch.Tensor:
    """c/2 sum a (w - c b)², with a number c of the client's own, told by its labels."""
    w = torch.cat([tensor.flatten() for tensor in parameters.values()])
    own = 1 + batch.labels.float().mean()
    curvatures, optima = constants(len(w), w)
    return own / 2 * (curvatures * (w - own * optima).square()).sum()


class Reference:
    """The same clients in NumPy, float64."""

    def __init__(self, played: Played):
        self.start = played.parameters[0].double().numpy()
        labels = samples(sum(SIZES)).labels.double().numpy()
        self.own = [1 + labels[positions].mean() for positions in played.clients]
        self.share = [len(positions) / np.mean(SIZES) for positions in played.clients]
        constant = constants(len(self.start), played.parameters[0])
        self.a, self.b = (vector.double().numpy() for vector in constant)
        self.rounds = [list(results) for results in played.results]
        scaled = [np.full(math.prod(shape), "weight" in name) for name, shape in played.layout.parameters]
        self.scaled = np.concatenate(scaled)

    def gradient(self, k: int, w: Vector) -> Vector:
        return self.own[k] * self.a * (w - self.own[k] * self.b)

    def sam(self, k: int, w: Vector) -> Vector:
        """The gradient at w + rho g / ||g||."""
        g = self.gradient(k, w)
        return self.gradient(k, w + RHO * g / np.linalg.norm(g))

    def asam(self, k: int, w: Vector) -> Vector:
        t = np.where(self.scaled, np.abs(w) + ASAM.eta, 1.0)
        g = self.gradient(k, w)
        return self.gradient(k, w + RHO * t**2 * g / np.linalg.norm(t * g))


def fedavg_by_hand(ours: Reference, gradient, decay: float = 0.0, clip: float = math.inf):
    """Local SGD along `gradient`; weight decay after clipping, none in the ascent."""
    w = ours.start
    for chosen in ours.rounds:
        ends = []
        for k in chosen:
            y = w
            for _ in range(STEPS):
                g = gradient(k, y)
                g = g * min(1, clip / np.linalg.norm(g))
                y = y - LR * (g + decay * y)
            ends.append(y)
        w = np.mean(ends, 0)
        yield w


def fedcm_by_hand(ours: Reference, gradient, alpha: float):
    w, m = ours.start, 0.0
    for chosen in ours.rounds:
        ends = []
        for k in chosen:
            y = w
            for _ in range(STEPS):
                y = y - LR * (alpha * gradient(k, y) + (1 - alpha) * m)
            ends.append(y)
        m = (w - np.mean(ends, 0)) / (STEPS * LR)
        w = np.mean(ends, 0)
        yield w


def fedgamma_by_hand(ours: Reference):
    w, c, own = ours.start, 0.0, [0.0] * len(SIZES)
    for chosen in ours.rounds:
        ends, changes = [], []
        for k in chosen:
            y = w
            for _ in range(STEPS):
                y = y - LR * (ours.sam(k, y) - own[k] + c)
            after = own[k] - c + (w - y) / (STEPS * LR)
            changes.append(after - own[k])
            own[k] = after
            ends.append(y)
        w, c = np.mean(ends, 0), c + np.sum(changes, 0) / len(SIZES)
        yield w


def fedspeed_by_hand(ours: Reference, alpha: float):
    w, own, total = ours.start, [0.0] * len(SIZES), 0.0
    for chosen in ours.rounds:
        ends = []
        for k in chosen:
            y = w
            for _ in range(STEPS):
                y = y - LR * (ours.sam(k, y) + alpha / ours.share[k] * (y - w + own[k]))
            own[k] = own[k] + y - w
            total = total + (y - w) / len(SIZES)
            ends.append(y)
        w = np.mean(ends, 0) + total
        yield w


def fedsmoo_by_hand(ours: Reference, alpha: float):
    w, own, total = ours.start, [0.0] * len(SIZES), 0.0
    mu, s = [0.0] * len(SIZES), 0.0
    for chosen in ours.rounds:
        ends = []
        for k in chosen:
            y = w
            for _ in range(STEPS):
                v = ours.gradient(k, y) - mu[k] - s
                e = RHO * v / np.linalg.norm(v)
                mu[k] = mu[k] + e - s
                y = y - LR * (ours.gradient(k, y + e) + alpha / ours.share[k] * (y - w + own[k]))
            own[k] = own[k] + y - w
            total = total + (y - w) / len(SIZES)
            ends.append(y)
        mean = np.mean([mu[k] for k in chosen], 0)
        s = RHO * mean / np.linalg.norm(mean)
        w = np.mean(ends, 0) + total
        yield w


def fedlesam_by_hand(ours: Reference):
    w, received = ours.start, {}
    for chosen in ours.rounds:
        ends = []
        for k in chosen:
            e, y = 0.0, w
            if k in received:
                e = RHO * (received[k] - w) / np.linalg.norm(received[k] - w)
            received[k] = w
            for _ in range(STEPS):
                y = y - LR * ours.gradient(k, y + e)
            ends.append(y)
        w = np.mean(ends, 0)
        yield w


def fedgloss_by_hand(ours: Reference, gradient, beta: float):
    """In the method's own symbols, L_k and sigma; sigma is FedDyn's."""
    w, p, sigma, dual = ours.start, np.zeros_like(ours.start), 0.0, [0.0] * len(SIZES)
    for chosen in ours.rounds:
        sent = w + RHO * p / np.linalg.norm(p) if p.any() else w
        changes = []
        for k in chosen:
            y = sent
            for _ in range(STEPS):
                y = y - LR * (gradient(k, y) - dual[k] + (y - sent) / beta)
            dual[k] = dual[k] - (y - sent) / beta
            changes.append(y - sent)
        sigma = sigma - np.sum(changes, 0) / (beta * len(SIZES))
        p = -np.mean(changes, 0)
        w = w + np.mean(changes, 0) - beta * sigma
        yield w


def fedexp_by_hand(ours: Reference, epsilon: float):
    w = ours.start
    for chosen in ours.rounds:
        changes = []
        for k in chosen:
            y = w
            for _ in range(STEPS):
                y = y - LR * ours.sam(k, y)
            changes.append(y - w)
        mean = np.mean(changes, 0)
        squares = np.mean([np.sum(change**2) for change in changes])
        w = w + max(1, squares / (2 * (np.sum(mean**2) + epsilon))) * mean
        yield w


SAM = {"sam": SharpnessAware(rho=RHO)}
BY_HAND: dict[str, tuple[str, dict, dict, Callable]] = {
    "FedSAM": ("fedavg", {}, SAM, lambda ours: fedavg_by_hand(ours, ours.sam)),
    "FedSAM, decayed": (
        *("fedavg", {}, SAM | {"weight_decay": 0.3}),
        lambda ours: fedavg_by_hand(ours, ours.sam, decay=0.3),
    ),
    "FedSAM, clipped": (
        "fedavg",
        {},
        SAM | {"clip": 5.0},
        lambda ours: fedavg_by_hand(ours, ours.sam, clip=5.0),
    ),
    "FedASAM": ("fedavg", {}, {"sam": ASAM}, lambda ours: fedavg_by_hand(ours, ours.asam)),
    "FedCM": ("fedcm", {"alpha": 0.2}, {}, lambda ours: fedcm_by_hand(ours, ours.gradient, 0.2)),
    "MoFedSAM": ("fedcm", {"alpha": 0.2}, SAM, lambda ours: fedcm_by_hand(ours, ours.sam, 0.2)),
    "FedGAMMA": ("scaffold", {}, SAM, fedgamma_by_hand),
    "FedSpeed": ("feddyn", {"alpha": 0.5}, SAM, lambda ours: fedspeed_by_hand(ours, 0.5)),
    "FedSMOO": ("fedsmoo", {"rho": RHO, "alpha": 0.5}, {}, lambda ours: fedsmoo_by_hand(ours, 0.5)),
    "FedLESAM": ("fedlesam", {"rho": RHO}, {}, fedlesam_by_hand),
    "FedGloSS": (
        "fedgloss",
        {"rho": RHO, "beta": 4.0},
        SAM,
        lambda ours: fedgloss_by_hand(ours, ours.sam, 4.0),
    ),
    "FedGloSS without local SAM": (
        "fedgloss",
        {"rho": RHO, "beta": 4.0},
        {},
        lambda ours: fedgloss_by_hand(ours, ours.gradient, 4.0),
    ),
    "FedExP on FedSAM": (
        "fedavg",
        {},
        SAM | {"server": "fedexp", "server_settings": {"epsilon": 0.01}},
        lambda ours: fedexp_by_hand(ours, 0.01),
    ),
}


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("name", BY_HAND)
def test_quadratic_clients_by_hand(monkeypatch, name, lanes):
    """Three rounds of half the clients, three steps each."""
    algorithm, settings, changes, by_hand = BY_HAND[name]
    monkeypatch.setattr(load("federated.algorithms", algorithm), "loss", quadratic)
    played = play(algorithm, settings, lanes=lanes, **QUADRATIC | changes)
    assert len({tuple(results) for results in played.results}) > 1, "not always the same clients"
    for number, expected in enumerate(by_hand(Reference(played)), start=1):
        found = played.parameters[number].double().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("sam", "rounds"), [(SharpnessAware(rho=0.1), 2), (ASAM, 1)])
def test_a_step_of_a_network_goes_along_the_gradient_uphill(sam, rounds):
    """Of the cross-entropy of a network, by its own derivative: full batches, one client."""
    arguments = {"model": GROUPED, "batch_size": 100, "lr": 0.05, "sizes": (9,), "rounds": rounds}
    played = play("fedavg", sam=sam, **arguments)
    gradient = gradient_of(network(GROUPED), samples(9), np.arange(9))
    w = played.parameters[0]
    for number in range(1, rounds + 1):
        g = gradient(w)
        shift = sharpness_aware(sam, g[None], w[None], played.layout)[0]
        w = w - 0.05 * gradient(w + shift)
        torch.testing.assert_close(played.parameters[number], w, rtol=1e-4, atol=1e-5)
        assert (played.parameters[number] - (played.parameters[number - 1] - 0.05 * g)).abs().max() > 1e-4


# The perturbations by themselves


def flat_layout(**tensors: int) -> Layout:
    return Layout(tuple((name, (size,)) for name, size in tensors.items()), (), ())


def test_one_step_on_a_quadratic_is_the_closed_form():
    """w+ = w - eta (Hw + rho H² w / ||Hw||)."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    hessian, w = root @ root.T, torch.randn(6, generator=generator, dtype=torch.float64)
    gradient = hessian @ w
    e = sharpness_aware(SharpnessAware(rho=0.3), gradient[None], w[None], flat_layout(w=6))[0]
    expected = hessian @ w + 0.3 * hessian @ hessian @ w / torch.linalg.vector_norm(hessian @ w)
    torch.testing.assert_close(hessian @ (w + e), expected, rtol=1e-12, atol=1e-12)
    assert float(e.norm()) == pytest.approx(0.3)


def test_in_one_dimension_it_ends_in_a_cycle_of_two():
    """At |w| = eta a rho / (2 - eta a), for the curvature a."""
    a, eta, rho, w = 2.0, 0.3, 0.5, torch.tensor([[1.7]], dtype=torch.float64)
    for _ in range(200):
        before = w
        e = sharpness_aware(SharpnessAware(rho=rho), a * w, w, flat_layout(w=1))
        w = w - eta * a * (w + e)
    assert float(w) == pytest.approx(-float(before), rel=1e-9)
    assert abs(float(w)) == pytest.approx(eta * a * rho / (2 - eta * a), rel=1e-9)


def test_norms_are_over_all_parameters_of_each_lane():
    vectors = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[1e-6], [1], [1e6]]
    )
    shifts = along(vectors, 0.7)
    torch.testing.assert_close(torch.linalg.vector_norm(shifts, dim=1), torch.full((3,), 0.7))
    torch.testing.assert_close(torch.cosine_similarity(vectors, shifts), torch.ones(3))


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_gradient_of_zero_gives_no_perturbation(adaptive):
    w = torch.tensor([[0.0, 2.0, -1.0], [1.0, 1.0, 1.0]])
    gradient = torch.tensor([[0.0, 0.0, 0.0], [0.0, 3.0, 4.0]])
    e = sharpness_aware(SharpnessAware(rho=1.0, adaptive=adaptive), gradient, w, flat_layout(weight=3))
    assert torch.equal(e[0], torch.zeros(3))
    assert torch.isfinite(e).all() and e[1].any()


def test_adaptive_perturbations_by_hand():
    """A tensor with "weight" in its name is measured by its entries, a bias is not."""
    w, g = torch.tensor([[2.0, -1.0, 5.0]]), torch.tensor([[1.0, 2.0, 2.0]])
    e = sharpness_aware(
        SharpnessAware(rho=0.5, adaptive=True, eta=0.0), g, w, flat_layout(**{"a.weight": 2, "a.bias": 1})
    )
    # T = (2, 1, 1), T g = (2, 2, 2) of norm sqrt(12), T² g = (4, 2, 2)
    torch.testing.assert_close(e, 0.5 * torch.tensor([[4.0, 2.0, 2.0]]) / math.sqrt(12))


def test_adaptive_with_a_large_eta_is_plain():
    generator = torch.Generator().manual_seed(0)
    w, g = torch.randn(2, 2, 40, generator=generator, dtype=torch.float64)
    layout, eta = flat_layout(weight=40), 1e9
    adaptive = SharpnessAware(rho=0.1 / eta, adaptive=True, eta=eta)
    plain = sharpness_aware(SharpnessAware(rho=0.1), g, w, layout)
    torch.testing.assert_close(sharpness_aware(adaptive, g, w, layout), plain, rtol=1e-6, atol=1e-9)


def test_moved_models_come_back_whatever_happens():
    models = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    before = models.clone()
    with pytest.raises(RuntimeError), moved(models, torch.full((2, 5), 9.0)):
        assert (models == 9).all()
        raise RuntimeError
    assert torch.equal(models, before)


# What the second gradient leaves alone


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize(("name", "settings"), [("fedavg", {}), ("fedsmoo", {"rho": 5.0})])
def test_running_statistics_take_in_each_batch_once_at_the_model(name, settings, lanes):
    """The first step's are those of plain training."""
    base = "feddyn" if name == "fedsmoo" else name
    arguments = {"model": RESIDUAL, "rounds": 1, "batch_size": 100, "lanes": lanes, "weights": "uniform"}
    sam = {} if name == "fedsmoo" else {"sam": SharpnessAware(rho=5.0)}
    played, plain = play(name, settings, **arguments, **sam), play(base, **arguments)
    assert torch.equal(played.states[1].model.buffers, plain.states[1].model.buffers)
    assert torch.equal(played.states[1].model.counters, plain.states[1].model.counters)
    assert (played.parameters[1] - plain.parameters[1]).abs().max() > 1e-5
    assert played.reports[0].client_loss == plain.reports[0].client_loss, "at the model, not uphill"


@pytest.mark.parametrize("lanes", [1, 2])
def test_weights_are_put_back_to_the_last_bit(lanes):
    """With a step of nothing: a perturbation that was subtracted again would leave its rounding."""
    played = play("fedavg", sam=SharpnessAware(rho=3.0), clip=1e-30, lanes=lanes, sizes=(4, 4), rounds=1)
    start = played.parameters[0]
    for result in played.results[0].values():
        # Where a weight is 0, any step is one.
        assert torch.equal(result.model.parameters[start != 0], start[start != 0])


def test_pruned_weights_stay_pruned_uphill(monkeypatch):
    pruning = Pruning(initial_sparsity=0.5, final_sparsity=0.5, begin=1, end=2, frequency=1, unit="round")
    seen = []

    def loss(network, parameters, batch, client, context):
        vector = torch.cat([tensor.detach().flatten() for tensor in parameters.values()])
        if context.round == 2:
            seen.append(int((vector == 0).sum()))
        return cross_entropy(network(parameters, batch.inputs), batch.labels)

    monkeypatch.setattr(load("federated.algorithms", "fedavg"), "loss", loss)
    played = play("fedavg", sam=SharpnessAware(rho=0.5), pruning=pruning, sizes=(4,))
    left_out = int((~played.states[1].kept).sum())
    assert len(seen) == 2 and min(seen) >= left_out > 100


# Rules of their own


def test_fedlesam_is_fedavg_until_a_client_comes_back():
    arguments = {"rounds": 1, "weights": "uniform", "participation": 0.5}
    assert torch.equal(
        play("fedlesam", {"rho": 5.0}, **arguments).parameters, play("fedavg", **arguments).parameters
    )


def test_the_dual_of_fedsmoo_turns_a_small_gradient_downhill_every_other_step():
    """In one dimension with |g| < rho and s = 0: e alternates."""
    client_rule = rule("fedsmoo", rho=1.0)
    state, context = {"dual": torch.zeros(1, 1)}, SimpleNamespace(
        settings=client_rule.settings, shared={"perturbation": torch.zeros(1)}
    )  # fmt: skip
    seen = []
    for _ in range(6):
        client = Client(torch.ones(1, 1), torch.ones(1, 1), state)
        e, state = client_rule.perturbation(torch.tensor([[0.4]]), torch.zeros(1, 1), client, context)
        seen.append(float(e))
    assert seen == [1, -1, 1, -1, 1, -1]


def test_what_clients_and_server_keep():
    """Numbers of vectors as long as the model."""
    layout = layout_of(network())
    kept = {}
    for name in ("fedcm", "fedlesam", "fedsmoo", "fedgloss", "feddecorr"):
        client_rule = rule(name)
        lengths = client_rule.client_state(layout), client_rule.shared_state(layout)
        assert {length for one in lengths for length in one.values()} <= {layout.parameter_count}
        kept[name] = tuple(map(len, lengths))
    assert kept == {
        "fedcm": (0, 1), "fedlesam": (1, 0), "fedsmoo": (2, 2), "fedgloss": (1, 2), "feddecorr": (0, 0),
    }  # fmt: skip


# FedDecorr


def test_the_correlation_of_equal_features():
    """(n - 1)² / n for n = 64, whatever their scale."""
    one = torch.randn(64, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    features = torch.cat([one, 3 * one + 1, -2 * one], dim=1)
    assert float(feddecorr.correlation(features)) == pytest.approx(63**2 / 64, rel=1e-6)


def test_the_correlation_is_that_of_numpy():
    features = torch.randn(20, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    r = np.corrcoef(features.numpy(), rowvar=False)
    mean = (r[~np.eye(7, dtype=bool)] ** 2).mean()
    assert float(feddecorr.correlation(features)) == pytest.approx(19**2 / 20 * mean, rel=1e-6)
    assert float(feddecorr.correlation(features[:1])) == float(feddecorr.correlation(features[:, :1])) == 0
    places = features[:, :, None, None] * torch.tensor([0.5, 1.5], dtype=torch.float64)
    assert float(feddecorr.correlation(places)) == pytest.approx(19**2 / 20 * mean, rel=1e-6)


def test_feddecorr_adds_its_term_to_the_cross_entropy():
    client_rule, module, data = rule("feddecorr", beta=0.3), network(GROUPED), samples(8)
    seen = []
    classifier = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)][-1]
    hook = classifier.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].detach()))
    images = (data.inputs / 255 - 0.4) / 0.25
    plain = cross_entropy(module(images), data.labels)
    hook.remove()

    client = Client(torch.tensor(1.0), torch.tensor(0.0), {})
    network_of = Network(module)
    found = client_rule.loss(
        network_of,
        network_of.own_parameters,
        Batch(images, data.labels, {}),
        client,
        context_of(client_rule, module, layout_of(module)),
    )
    expected = plain + 0.3 * feddecorr.correlation(seen[0])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert found > plain
