"""Gradients of several clients in one pass against those of one after the other, and against float64."""

import pytest
import torch
from engine_helpers import TRAINING, channels_last, images_and_labels, network
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import layout_of
from fedscape.evaluation.evaluate import normalise
from fedscape.federated.algorithms import fedavg, fedprox, mixup
from fedscape.federated.gradients import SequentialGradient, StackedGradient
from fedscape.federated.rule import Batch, Client, Context, Rule
from fedscape.federated.state import ModelState

CLIENTS, SAMPLES = 3, 6
RESNETS = {
    "batch norm": ("resnet", {"blocks": [1, 1, 1], "width": 8}),
    "group norm": ("resnet", {"blocks": [1, 1, 1], "width": 8, "norm": "group"}),
}
PLAIN = {name: (name, {}) for name in ("convnet", "cnn", "leaf-cnn")}
NETWORKS = {**PLAIN, **RESNETS}
RULES = {
    "fedavg": Rule(fedavg, fedavg.Settings()),
    "mixup": Rule(mixup, mixup.Settings(gamma=1.0)),
    "fedprox": Rule(fedprox, fedprox.Settings(mu=0.5)),
}


def models_of(module: nn.Module) -> ModelState:
    """Models of several clients, stacked: all different, in their statistics and counters too."""
    state = ModelState.of(module)
    generator = torch.Generator().manual_seed(0)
    near = [
        vector + 0.05 * torch.randn(CLIENTS, len(vector), generator=generator) for vector in state.vectors[:2]
    ]
    counters = state.counters + 10 * torch.arange(CLIENTS)[:, None]
    return ModelState(near[0], near[1].abs() + 0.5, counters)


def batches(rule: Rule) -> Batch:
    """A batch for each client, stacked."""
    data = images_and_labels(CLIENTS * SAMPLES)
    images = normalise(data.inputs, data.mean, data.std).unflatten(0, (CLIENTS, SAMPLES))
    shares = torch.tensor([0.2, 0.5, 0.9])
    partners = torch.stack([torch.arange(SAMPLES).roll(shift) for shift in (1, 2, 3)])
    draws = {"share": shares, "partners": partners} if rule.name == "mixup" else {}
    return Batch(images, data.labels.unflatten(0, (CLIENTS, SAMPLES)), draws)


def row_of(batch: Batch, row: int) -> Batch:
    return Batch(
        batch.inputs[row], batch.labels[row], {name: drawn[row] for name, drawn in batch.draws.items()}
    )


def both_ways(model: str, rule: Rule, precision: str = "fp32") -> tuple[list, list]:
    """(loss, gradient, model afterwards) of each client: stacked, and one by one."""
    name, settings = NETWORKS[model]
    one = SequentialGradient(network(name, **settings), precision)
    models, batch = models_of(one.network.module), batches(rule)
    start = ModelState(models.parameters[0] + 0.1, models.buffers[0], models.counters[0])
    context = Context(rule.settings, TRAINING, 1, CLIENTS, start, one.layout, {})
    clients = [Client(torch.tensor(1.0 + row), torch.tensor(0.0), {}) for row in range(CLIENTS)]
    alone = []
    one.network.module.train()
    for row, client in enumerate(clients):
        one.state.copy_(ModelState(*(vector[row] for vector in models.vectors)))
        loss = one(rule, row_of(batch, row), client, context)
        alone.append((loss.item(), one.gradient.clone(), one.state.clone()))
    module = network(name, **settings).train()
    gradients, stacked = torch.full_like(models.parameters, float("nan")), models.clone()
    client = Client(torch.tensor([1.0, 2.0, 3.0]), torch.zeros(CLIENTS), {})
    losses = StackedGradient(module, one.layout, precision)(
        rule, stacked, batch, client, context, out=gradients
    )
    assert torch.equal(stacked.parameters, models.parameters)
    rows = [ModelState(*(vector[row] for vector in stacked.vectors)) for row in range(CLIENTS)]
    return list(zip(losses.tolist(), gradients, rows, strict=True)), alone


@pytest.mark.parametrize(
    ("model", "rule"),
    [*((model, "fedavg") for model in NETWORKS), ("batch norm", "mixup"), ("cnn", "fedprox")],
)
def test_stacked_clients_are_the_same_as_one_by_one(model, rule):
    for (loss, gradient, after), (own_loss, own_gradient, own_after) in zip(
        *both_ways(model, RULES[rule]), strict=True
    ):
        assert loss == pytest.approx(own_loss, rel=1e-5)
        torch.testing.assert_close(gradient, own_gradient, rtol=1e-4, atol=3e-6)
        torch.testing.assert_close(after.buffers, own_after.buffers, rtol=1e-5, atol=1e-6)
        assert torch.equal(after.counters, own_after.counters)
    if model == "batch norm":
        _, alone = both_ways(model, RULES[rule])
        assert [state.counters.unique().tolist() for *_, state in alone] == [[1], [11], [21]]


@pytest.mark.parametrize("model", ["convnet", "group norm"])
def test_gradients_are_those_of_float64(model):
    name, settings = NETWORKS[model]
    stacked, alone = both_ways(model, RULES["fedavg"])
    module = network(name, **settings).double()
    models, batch = models_of(network(name, **settings)), batches(RULES["fedavg"])
    names = [name for name, _ in module.named_parameters()]
    shapes = [parameter.shape for parameter in module.parameters()]
    for row in range(CLIENTS):
        vector = models.parameters[row].double().requires_grad_()
        pieces = vector.split([shape.numel() for shape in shapes])
        tensors = {name: piece.view(shape) for name, piece, shape in zip(names, pieces, shapes, strict=True)}
        loss = cross_entropy(
            functional_call(module, tensors, (batch.inputs[row].double(),)), batch.labels[row]
        )
        (gradient,) = torch.autograd.grad(loss, vector)
        for found_loss, found, _ in (stacked[row], alone[row]):
            assert found_loss == pytest.approx(loss.item(), rel=1e-5)
            torch.testing.assert_close(found.double(), gradient, rtol=1e-4, atol=1e-6)


def in_torchs_half(model: str) -> list[tuple[float, torch.Tensor, ModelState]]:
    """Loss, gradient and model afterwards of each client by an ordinary module under autocast."""
    name, settings = NETWORKS[model]
    module, found = network(name, **settings), []
    models, batch, layout = models_of(module), batches(RULES["fedavg"]), layout_of(module)
    for row in range(CLIENTS):
        state = ModelState(*(vector[row].clone() for vector in models.vectors))
        module.load_state_dict(state.named(layout))
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = cross_entropy(module(channels_last(batch.inputs[row])).float(), batch.labels[row])
        loss.backward()
        gradient = torch.cat([parameter.grad.flatten() for parameter in module.parameters()])
        found.append((loss.item(), gradient, ModelState.of(module)))
    return found


@pytest.mark.parametrize("model", NETWORKS)
def test_half_precision_is_torchs_autocast(model):
    stacked, alone = both_ways(model, RULES["fedavg"], "bf16")
    exact, half = both_ways(model, RULES["fedavg"])[1], in_torchs_half(model)
    for row, (exact_loss, exact_gradient, exact_after) in enumerate(exact):
        assert alone[row][0] == half[row][0]
        torch.testing.assert_close(alone[row][1], half[row][1], rtol=1e-5, atol=1e-7)
        assert torch.equal(alone[row][2].buffers, half[row][2].buffers)
        # The order of a sum tells in eight bits of mantissa: stacked clients are as far from float32 only.
        loss, gradient, after = stacked[row]
        assert gradient.dtype == after.buffers.dtype == torch.float32
        assert loss != exact_loss and loss == pytest.approx(exact_loss, rel=0.01)
        error = torch.linalg.vector_norm(gradient - exact_gradient) / torch.linalg.vector_norm(exact_gradient)
        assert 1e-3 < error < 0.3
        torch.testing.assert_close(after.buffers, exact_after.buffers, rtol=0.02, atol=0.02)
        assert torch.equal(after.counters, exact_after.counters)


def test_a_sequential_gradient_lives_in_the_module_itself():
    """What makes a client one copy: writing to the vectors changes the module, and back."""
    module = network("resnet20")
    one = SequentialGradient(module)
    one.state.parameters.fill_(2)
    one.state.buffers.fill_(3)
    one.state.counters.fill_(4)
    one.gradient.fill_(5)
    assert all((parameter == 2).all() and (parameter.grad == 5).all() for parameter in module.parameters())
    assert {buffer.unique().item() for buffer in module.buffers()} == {3, 4}
