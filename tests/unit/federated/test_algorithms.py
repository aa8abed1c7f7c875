"""Rules that change what a client minimises, against the formulas of their papers written out naively and
networks built independently. The rules against drift are in `test_algorithms_drift.py`."""

import math

import numpy as np
import pytest
import torch
from small_federation import (
    CLASSES,
    GROUPED,
    RESIDUAL,
    SHAPE,
    SIZES,
    context_of,
    gradient_of,
    network,
    play,
    rule,
    samples,
)
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy, grid_sample

from fedscape.checkpoints.layout import layout_of
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import normalise
from fedscape.federated.algorithms.fedalign import spectral_norms, transmitting
from fedscape.federated.gradients import StackedGradient
from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, Rule
from fedscape.federated.state import ModelState
from fedscape.jobs.streams import stream
from fedscape.models.build import build_model

BATCH = 6
WIDE = RESIDUAL | {"blocks": [1, 2], "width": 16, "projection": 16}
NARROW = WIDE | {"width": 8, "projection": 8}  # what is left of it at half its width


def batch(seed: int = 0, **draws: Tensor) -> Batch:
    data = samples(BATCH, seed)
    return Batch(normalise(data.inputs, data.mean, data.std), data.labels, draws)


def newcomer(client_rule: Rule, module: nn.Module) -> Client:
    lengths = client_rule.client_state(layout_of(module))
    state = {name: torch.zeros(length) for name, length in lengths.items()}
    return Client(share=torch.tensor(1.0), known=torch.tensor(0.0), state=state)


def uneven(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with scales, shifts and running statistics that are not all the same, in train mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.train()


def one_loss(client_rule: Rule, module: nn.Module, inputs: Batch, client=None, **context) -> Tensor:
    """The rule's loss of a module, with gradients in the module's parameters."""
    own = Network(module)
    client = client or newcomer(client_rule, module)
    context = {"start": ModelState.of(module)} | context
    context = context_of(client_rule, module, layout_of(module), **context)
    return client_rule.loss(own, own.own_parameters, inputs, client, context)


def gradients(loss: Tensor, module: nn.Module) -> dict[str, Tensor]:
    names = dict(module.named_parameters())
    found = torch.autograd.grad(loss, list(names.values()), allow_unused=True)
    return {
        name: torch.zeros_like(names[name]) if gradient is None else gradient
        for name, gradient in zip(names, found, strict=True)
    }


def assert_same_gradients(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name, gradient in mine.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-3, atol=1e-5, msg=name)


def assert_buffers_of_one_pass(module: nn.Module, before: nn.Module, inputs: Batch) -> None:
    """The module's running statistics are those of `before` after one plain pass in train mode."""
    before.train()(inputs.inputs)
    for (name, buffer), expected in zip(module.named_buffers(), before.buffers(), strict=True):
        torch.testing.assert_close(buffer, expected, msg=name)


def narrow_slices(small: nn.Module, large: nn.Module) -> dict[str, tuple[slice, ...]]:
    """Copy the first slices of the large module's parameters into the small one's; where they lie."""
    places = {}
    with torch.no_grad():
        for (name, mine), of_large in zip(small.named_parameters(), large.parameters(), strict=True):
            places[name] = tuple(slice(length) for length in mine.shape)
            mine.copy_(of_large[places[name]])
    return places


def add_slices(totals: dict[str, Tensor], small: nn.Module, places: dict, prefix: str = "") -> None:
    """Add the small module's gradients to those of the large one that they are slices of."""
    for name, parameter in small.named_parameters():
        totals[prefix + name][places[name]] += parameter.grad


# FedProx


def test_fedprox_adds_the_gradient_of_its_penalty():
    client_rule, module = rule("fedprox", mu=0.3), network()
    generator = torch.Generator().manual_seed(0)
    lanes = [torch.randn(3, layout_of(module).parameter_count, generator=generator) for _ in range(2)]
    gradient, parameters = lanes[0], lanes[1].requires_grad_()
    context = context_of(client_rule, module, layout_of(module))
    penalty = 0.3 / 2 * (parameters - context.start.parameters).square().sum()
    (expected,) = torch.autograd.grad(penalty, parameters)
    adjusted = client_rule.adjust_gradient(gradient, parameters.detach(), None, context)
    torch.testing.assert_close(adjusted - gradient, expected, rtol=1e-4, atol=1e-5)


def test_fedprox_clients_descend_the_penalised_loss():
    """Full batches against gradient descent by hand; momentum takes the penalty's gradient in."""
    arguments = {
        "model": GROUPED,
        "batch_size": 100,
        "rounds": 1,
        "lr": 0.05,
        "local_epochs": 5,
        "momentum": 0.5,
    }
    played = play("fedprox", {"mu": 2.0}, **arguments)
    data, start = samples(sum(SIZES)), played.parameters[0]
    for client, positions in enumerate(played.clients):
        gradient = gradient_of(network(GROUPED), data, positions)
        here, velocity = start, torch.zeros_like(start)
        for _ in range(5):
            velocity = 0.5 * velocity + gradient(here) + 2.0 * (here - start)
            here = here - 0.05 * velocity
        result = played.results[0][client].model.parameters
        torch.testing.assert_close(result, here, rtol=1e-4, atol=1e-5)


# MOON


def representation(module: nn.Module, state: ModelState, images: Tensor, training: bool) -> Tensor:
    """What enters the classifier, of a fresh network with these weights."""
    other = build_model("resnet", RESIDUAL | {"projection": 8}, SHAPE, CLASSES)
    other.load_state_dict(state.named(layout_of(module)))
    seen = []
    other.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    other.train(training)(images)
    return seen[0]


@pytest.mark.parametrize("references", ["eval", "train"])
@pytest.mark.parametrize("first", [False, True])
def test_moon_is_the_papers_formula(references, first):
    """For a client that comes back, and one that is new after round 1: its previous model is the run's first."""
    client_rule = rule("moon", mu=3.0, temperature=0.5, references=references)
    settings = RESIDUAL | {"projection": 8}
    module, plain, start, previous = (uneven(network(settings, seed), seed) for seed in (0, 0, 1, 2))
    now, before = ModelState.of(start), ModelState.of(previous)
    kept = {"parameters": before.parameters, "buffers": before.buffers}
    others = {name: torch.full_like(vector, 0.1) for name, vector in kept.items()}
    client = Client(torch.tensor(1.0), torch.tensor(0.0 if first else 1.0), others if first else kept)
    inputs = batch()
    seen = []
    plain.classifier.register_forward_pre_hook(lambda _, entering: seen.append(entering[0]))
    cross = cross_entropy(plain(inputs.inputs), inputs.labels)
    with torch.no_grad():
        theirs = representation(start, now, inputs.inputs, references == "train")
        last = representation(previous, before, inputs.inputs, references == "train")
    terms = []
    for mine, positive, negative in zip(seen[0], theirs, last, strict=True):
        near = torch.exp(mine @ positive / (mine.norm() * positive.norm()) / 0.5)
        far = torch.exp(mine @ negative / (mine.norm() * negative.norm()) / 0.5)
        terms.append(-torch.log(near / (near + far)))
    expected = cross + 3.0 * torch.stack(terms).mean()
    round_two = {"start": now, "round": 2, "shared": kept if first else others}
    loss = one_loss(client_rule, module, inputs, client, **round_two)
    torch.testing.assert_close(loss, expected)
    assert_same_gradients(gradients(loss, module), gradients(expected, plain))
    # The reference models leave no trace in the client's running statistics, nor in their own.
    assert_buffers_of_one_pass(module, uneven(network(settings)), inputs)
    for reference, module_then in ((now, start), (before, previous)):
        assert torch.equal(reference.buffers, ModelState.of(module_then).buffers)


@pytest.mark.parametrize(("number", "first"), [(1, "initial"), (1, "none"), (2, "none")])
def test_moon_has_no_term_without_a_previous_model(number, first):
    module, inputs = network(), batch()
    loss = one_loss(rule("moon", mu=5.0, first_previous=first), module, inputs, round=number)
    expected = cross_entropy(module(inputs.inputs), inputs.labels)
    torch.testing.assert_close(loss, expected)
    assert_same_gradients(gradients(loss, module), gradients(expected, module))


def test_moon_compares_with_the_model_after_the_last_participation():
    played = play("moon", {"mu": 5.0}, rounds=4, participation=0.5)
    last: dict[int, ModelState] = {}
    for results, kept in zip(played.results, played.kept, strict=True):
        last |= {client: result.model for client, result in results.items()}
        for client, model in last.items():
            assert torch.equal(kept[client]["rule.parameters"], model.parameters)
            assert torch.equal(kept[client]["rule.buffers"], model.buffers)
    ages = {client for client in last if client not in played.results[-1]}
    assert ages, "some model is older than a round"
    plain = play("fedavg", rounds=4, participation=0.5)
    assert torch.equal(played.parameters[1], plain.parameters[1]), "in round 1 nobody is known"
    assert not torch.equal(played.parameters[-1], plain.parameters[-1])


def test_a_late_client_of_moon_is_pulled_away_from_the_runs_initial_model():
    """One full-batch step of each client that is new after round 1, by hand; in lanes beside others that are not."""
    mu, lr, model = 5.0, 0.05, GROUPED | {"projection": 8}
    arguments = {"model": model, "rounds": 3, "participation": 0.5, "batch_size": 100, "lr": lr, "lanes": 2}
    played = play("moon", {"mu": mu}, **arguments)
    data, module, known = samples(sum(SIZES)), network(model), set(played.results[0])
    modules, seen = [network(model) for _ in range(2)], []
    for one in (module, *modules):
        one.classifier.register_forward_pre_hook(lambda _, entering: seen.append(entering[0]))
    late = 0
    for number, results in enumerate(played.results[1:], start=2):
        start = played.parameters[number - 1]
        for client in set(results) - known:
            late += 1
            for one, vector in zip((module, *modules), (start, start, played.parameters[0]), strict=True):
                nn.utils.vector_to_parameters(vector, one.parameters())
            positions = played.clients[client]
            images = normalise(data.inputs[positions], data.mean, data.std)
            seen.clear()
            logits, *_ = [one(images) for one in (module, *modules)]
            mine, theirs, before = seen
            near, far = (cosine_similarity(mine, other.detach()) / 0.5 for other in (theirs, before))
            contrast = -(torch.stack([near, far]).log_softmax(0)[0]).mean()
            loss = cross_entropy(logits, data.labels[positions]) + mu * contrast
            gradient = torch.cat(
                [one.flatten() for one in torch.autograd.grad(loss, list(module.parameters()))]
            )
            expected = start - lr * gradient
            torch.testing.assert_close(results[client].model.parameters, expected, rtol=1e-4, atol=1e-6)
        known |= set(results)
    assert late, "nobody came late"
    without = play("moon", {"mu": mu, "first_previous": "none"}, **arguments)
    assert not torch.allclose(without.parameters[-1], played.parameters[-1], rtol=0, atol=1e-4)


# Mixup


def test_mixup_is_the_cross_entropy_with_mixed_labels():
    """The form of the paper: one mixed image, one mixed label."""
    module, data = network(), batch()
    share, partners = 0.3, torch.tensor([3, 0, 5, 1, 4, 2])
    inputs = batch(share=torch.tensor(share), partners=partners)
    one_hot = torch.eye(CLASSES)[data.labels]
    images = [share * data.inputs[i] + (1 - share) * data.inputs[j] for i, j in enumerate(partners)]
    labels = [share * one_hot[i] + (1 - share) * one_hot[j] for i, j in enumerate(partners)]
    expected = -(torch.stack(labels) * module(torch.stack(images)).log_softmax(1)).sum(1).mean()
    loss = one_loss(rule("mixup", gamma=0.5), module, inputs)
    torch.testing.assert_close(loss, expected)
    assert_same_gradients(gradients(loss, module), gradients(expected, module))


@pytest.mark.parametrize("gamma", [0.05, 1.0, 4.0])
def test_mixup_draws_one_beta_share_and_an_order(gamma):
    client_rule, generator = rule("mixup", gamma=gamma), stream(0, "test")
    draws = [client_rule.step_draws(generator, BATCH) for _ in range(2000)]
    shares = np.array([draw["share"] for draw in draws])
    variance = 1 / (4 * (2 * gamma + 1))
    assert shares.shape == (2000,)
    assert shares.mean() == pytest.approx(0.5, abs=4 * math.sqrt(variance / 2000))
    assert shares.var() == pytest.approx(variance, rel=0.1)
    for draw in draws[:20]:
        assert sorted(draw["partners"]) == list(range(BATCH))


def test_mixup_draws_anew_in_every_step_and_for_every_client(monkeypatch):
    client_rule, seen = rule("mixup", gamma=1.0), {}
    loss = client_rule.module.loss

    def noted(network, parameters, inputs, client, context):
        seen.setdefault(float(inputs.draws["share"]), inputs.draws["partners"].tolist())
        return loss(network, parameters, inputs, client, context)

    monkeypatch.setattr(client_rule.module, "loss", noted)
    monkeypatch.setattr(StackedGradient, "check", lambda *_: None)  # which is a call of the loss, too
    played = play("mixup", {"gamma": 1.0}, local_epochs=2)
    steps = sum(result.steps for results in played.results for result in results.values())
    assert len(seen) == steps


# Stochastic depth


def test_stochastic_depth_keeps_blocks_as_often_as_the_linear_rule_says():
    client_rule = rule("stochdepth", survival=0.4)
    own, generator = Network(network(RESIDUAL | {"blocks": [2, 1, 2]})), stream(0, "test")
    draws = np.array([client_rule.shared_draws(generator, own) for _ in range(4000)])
    for block, survival in enumerate([1.0, 0.85, 0.7, 0.55, 0.4]):
        assert set(np.round(draws[:, block], 12)) <= {0.0, round(1 / survival, 12)}
        deviation = math.sqrt(survival * (1 - survival) / 4000)
        assert (draws[:, block] > 0).mean() == pytest.approx(survival, abs=4 * deviation)
    kept = draws > 0
    assert np.corrcoef(kept[:, 3], kept[:, 4])[0, 1] == pytest.approx(0, abs=0.07), "independent"


def test_a_dropped_branch_is_its_shortcut_alone():
    """An independent way to lose a branch: its last affine layer scales and shifts to zero."""
    client_rule, inputs = rule("stochdepth"), batch()
    module, without = uneven(network()), uneven(network())
    dropped = without.stages[1][0]
    with torch.no_grad():
        dropped.norm2.weight.zero_()
        dropped.norm2.bias.zero_()
    expected = cross_entropy(without(inputs.inputs), inputs.labels)
    loss = one_loss(client_rule, module, inputs, drawn=[1.0, 0.0, 1.0])
    torch.testing.assert_close(loss, expected)
    mine, theirs = gradients(loss, module), gradients(expected, without)
    for name, gradient in mine.items():
        if name.startswith(("stages.1.0.conv", "stages.1.0.norm")):
            assert not gradient.any(), "a dropped branch does not learn"
        else:
            torch.testing.assert_close(gradient, theirs[name], rtol=1e-3, atol=1e-5, msg=name)
    untouched = dict(uneven(network()).named_buffers())
    passed = dict(without.named_buffers())
    for name, buffer in module.named_buffers():
        in_branch = name.startswith("stages.1.0.norm")
        torch.testing.assert_close(buffer, (untouched if in_branch else passed)[name], msg=name)
        assert not torch.equal(untouched[name], passed[name]), name


def test_a_kept_branch_counts_by_the_inverse_of_its_probability():
    client_rule, inputs = rule("stochdepth"), batch()
    module, scaled = uneven(network()), uneven(network())
    with torch.no_grad():
        scaled.stages[2][0].norm2.weight.mul_(1 / 0.8)
        scaled.stages[2][0].norm2.bias.mul_(1 / 0.8)
    loss = one_loss(client_rule, module, inputs, drawn=[1.0, 1.0, 1 / 0.8])
    torch.testing.assert_close(loss, cross_entropy(scaled(inputs.inputs), inputs.labels))


@pytest.mark.parametrize(("name", "settings"), [("stochdepth", {"survival": 0.5}), ("gradaug", {})])
def test_draws_that_change_shapes_are_the_same_for_all_clients(monkeypatch, name, settings):
    """They hang on the round and a client's own step, whatever trains beside it."""
    client_rule, seen = rule(name), {}
    loss = client_rule.module.loss

    def noted(network, parameters, inputs, client, context):
        seen.setdefault(context.round, []).append(context.drawn)
        return loss(network, parameters, inputs, client, context)

    monkeypatch.setattr(client_rule.module, "loss", noted)
    monkeypatch.setattr(StackedGradient, "check", lambda *_: None)  # which is a call of the loss, too
    played = play(name, settings, sizes=(16, 8, 4))
    for number, results in enumerate(played.results, start=1):
        steps = sorted((result.steps for result in results.values()), reverse=True)
        assert steps == [4, 2, 1]
        longest, *others = seen[number][:4], seen[number][4:6], seen[number][6:]
        assert len({str(drawn) for drawn in longest}) > 1, "each step draws anew"
        for drawn in others:
            assert drawn == longest[: len(drawn)]
    assert seen[1] != seen[2]


# GradAug


def resized(images: Tensor, side: int) -> Tensor:
    """Bilinear, with the corners' pixels kept in the corners."""
    line = torch.linspace(-1, 1, side)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    return grid_sample(images, grid.expand(len(images), -1, -1, -1), align_corners=True)


def test_gradaug_is_separate_backward_passes_through_narrow_networks():
    client_rule, inputs = rule("gradaug", mu=1.75), batch()
    module, plain, small = uneven(network(WIDE)), uneven(network(WIDE)), network(NARROW).train()
    drawn = [(0.5, 1.0), (0.5, 0.75)]
    loss = one_loss(client_rule, module, inputs, drawn=drawn)
    mine = gradients(loss, module)
    logits = plain(inputs.inputs)
    expected = cross_entropy(logits, inputs.labels)
    expected.backward()
    totals = {name: parameter.grad.clone() for name, parameter in plain.named_parameters()}
    places = narrow_slices(small, plain)
    target = logits.detach().softmax(1)
    for _, resolution in drawn:
        small.zero_grad()
        answer = small(resized(inputs.inputs, round(SHAPE[1] * resolution))).log_softmax(1)
        term = 1.75 * (target * (target.log() - answer)).sum(1).mean()
        term.backward()
        add_slices(totals, small, places)
        expected = expected.detach() + term.detach()
    torch.testing.assert_close(loss.detach(), expected)
    assert_same_gradients(mine, totals)
    # Running statistics are those of the full width.
    for (name, buffer), its in zip(module.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(buffer, its, msg=name)


def test_gradaug_draws_the_smallest_width_and_wider_ones():
    client_rule = rule("gradaug", subnets=3, width=0.6, resolutions=[1.0, 0.5])
    own, generator = Network(network()), stream(0, "test")
    draws = np.array([client_rule.shared_draws(generator, own) for _ in range(2000)])
    widths, resolutions = draws[:, :, 0], draws[:, :, 1]
    assert (widths[:, -1] == 0.6).all()
    assert (np.diff(widths) <= 0).all(), "the widest first"
    others = widths[:, :-1]
    assert others.mean() == pytest.approx(0.8, abs=4 * 0.4 / math.sqrt(12 * others.size))
    assert others.max() > 0.99
    assert set(resolutions.flat) == {1.0, 0.5}
    assert resolutions.mean() == pytest.approx(0.75, abs=4 * 0.25 / math.sqrt(resolutions.size))


# FedAlign


def matrices(shape: tuple[int, ...]) -> Tensor:
    """Positive ones, as those between maps after a ReLU are: the largest singular value stands out."""
    return torch.rand(5, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (9, 2)])
def test_spectral_norms_are_those_of_a_decomposition(shape):
    mine, theirs = (matrices(shape).requires_grad_() for _ in range(2))
    norms, expected = spectral_norms(mine, 30), torch.linalg.matrix_norm(theirs, 2)
    torch.testing.assert_close(norms, expected)
    torch.testing.assert_close(spectral_norms(mine, 10), expected, rtol=1e-3, atol=0)
    # The iterations' gradient is that of the singular value: its two singular vectors.
    for value, its in ((norms, mine), (expected, theirs)):
        (value * torch.arange(1, 6)).sum().backward()
        assert its.grad.any()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-4)


def test_spectral_norms_of_vanishing_features_are_zero_and_have_a_gradient():
    nothing = torch.zeros(2, 3, 4, requires_grad=True)
    norms = spectral_norms(nothing, 10)
    norms.sum().backward()
    assert norms.max() < 1e-5
    assert torch.isfinite(nothing.grad).all()


def test_transmitting_matrices_by_hand():
    generator = torch.Generator().manual_seed(0)
    before, after = (torch.rand(shape, generator=generator) for shape in ((2, 3, 8, 8), (2, 5, 4, 4)))
    expected = torch.zeros(2, 3, 5)
    for row in range(4):
        for column in range(4):
            pooled = before[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean(dim=(2, 3))
            expected += pooled[:, :, None] * after[:, None, :, row, column] / 16
    torch.testing.assert_close(transmitting(before, after), expected)


def test_fedalign_trains_the_narrow_last_stage_only():
    """The gradient beside that of the cross-entropy, against the stage built narrow from slices."""
    mu, iterations, inputs = 0.45, 40, batch()
    client_rule = rule("fedalign", mu=mu, width=0.5, iterations=iterations)
    module, plain = uneven(network(WIDE)), uneven(network(WIDE))
    loss = one_loss(client_rule, module, inputs)
    mine = gradients(loss, module)
    seen = []
    plain.stages[1].register_forward_hook(lambda _, entering, leaving: seen.append((entering[0], leaving)))
    cross = cross_entropy(plain(inputs.inputs), inputs.labels)
    base = gradients(cross, plain)
    before, full = (features.detach() for features in seen[0])
    stage = network(NARROW).train().stages[1]
    places = narrow_slices(stage, plain.stages[1])

    def lipschitz(features: Tensor, leaving: Tensor) -> Tensor:
        pooled = torch.nn.functional.avg_pool2d(features, 2)
        products = torch.einsum("nahw,nbhw->nab", pooled, leaving) / leaving[0, 0].numel()
        return torch.linalg.matrix_norm(products, 2)

    term = (lipschitz(before[:, :8], stage(before[:, :8])) - lipschitz(before, full)).square().mean()
    (mu * cross.item() / term.item() * term).backward()
    expected = {name: gradient.clone() for name, gradient in base.items()}
    add_slices(expected, stage, places, "stages.1.")
    assert_same_gradients(mine, expected)
    for name, gradient in mine.items():
        apart = (gradient - base[name]).abs()
        if not name.startswith("stages.1."):
            assert apart.max() < 1e-7, "only the last stage is regularised"
            continue
        narrow = places[name.removeprefix("stages.1.")]
        assert apart[narrow].max() > 1e-5
        apart[narrow] = 0
        assert apart.max() < 1e-7, "and of it only what the narrow one has"
    (
        torch.testing.assert_close(loss, (1 + mu) * cross),
        "the term is brought to the scale of the cross-entropy",
    )
    assert_buffers_of_one_pass(module, uneven(network(WIDE)), inputs)


@pytest.mark.parametrize(("preset", "mu", "width"), [("paper", 0.05, 0.8), ("code", 0.45, 0.25)])
def test_fedalign_presets(preset, mu, width):
    settings = WIDE | {"width": 32}  # 0.8 of 64 channels are 48, 0.25 are 16
    found = []
    for given in ({"preset": preset}, {"mu": mu, "width": width}):
        module = uneven(network(settings))
        found.append(gradients(one_loss(rule("fedalign", **given), module, batch()), module))
    for name, gradient in found[0].items():
        assert torch.equal(gradient, found[1][name])
    other = gradients(one_loss(rule("fedalign", mu=mu, width=0.5), module, batch()), module)
    assert not torch.equal(other["stages.1.0.conv1.weight"], found[0]["stages.1.0.conv1.weight"])


@pytest.mark.parametrize("name", ["fedalign", "stochdepth"])
def test_networks_without_what_a_rule_needs_are_refused(name):
    module = build_model("convnet", {}, SHAPE, CLASSES)
    client_rule = rule(name)
    with pytest.raises(FedscapeError, match="use a model of kind resnet"):
        if name == "stochdepth":
            client_rule.shared_draws(stream(0, "test"), Network(module))
        else:
            one_loss(client_rule, module, batch())


def test_the_reported_loss_is_what_clients_minimise():
    """With one step from the start, it is the rule's loss there, averaged over the clients' samples."""
    arguments = {"rounds": 1, "batch_size": 100, "model": GROUPED}
    plain = play("fedavg", **arguments).reports[0].client_loss
    for name, factor in (("fedavg", 1.0), ("fedprox", 1.0), ("fedalign", 1.05)):
        assert play(name, **arguments).reports[0].client_loss == pytest.approx(factor * plain, rel=1e-4)
    assert sum(SIZES) == play("fedavg", **arguments).reports[0].samples
