"""Weight matching: hidden permutations, all permutations of a small network, and that it never makes it worse."""

import itertools

import pytest
import torch
from torch import nn
from torch.func import functional_call

from fedscape.connectivity.matching import match_weights, permuted, units_moved, unmoved
from fedscape.connectivity.permutations import permutations_of
from fedscape.errors import FedscapeError
from fedscape.models.build import random_model

SHAPE = (3, 12, 12)
NETWORKS = {
    "convnet": ("convnet", {}),
    "cnn": ("cnn", {}),
    "batch norm": ("resnet", {"blocks": [1, 1], "width": 8}),
    "pad shortcut": ("resnet", {"blocks": [1, 1], "width": 8, "shortcut": "pad", "norm": "none"}),
    "bottleneck": ("resnet", {"blocks": [1, 1], "width": 8, "block": "bottleneck"}),
}


class Residual(nn.Module):
    """A layer between the units of one group, for which an assignment is not the best order."""

    def __init__(self):
        super().__init__()
        self.first, self.around, self.last = nn.Linear(4, 9), nn.Linear(9, 9), nn.Linear(9, 3)

    def forward(self, inputs):
        hidden = torch.relu(self.first(inputs))
        return self.last(hidden + self.around(hidden))


def network(name, seed=0):
    if name != "residual":
        return random_model(*NETWORKS[name], SHAPE, 7, seed)
    torch.manual_seed(seed)
    return Residual()


def shuffled(permutations, seed=2):
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randperm(group.size, generator=draw) for name, group in permutations.groups.items()}


def distance(first, second):
    names = [name for name in first if "running" not in name and "num_batches" not in name]
    return sum((first[name].double() - second[name].double()).square().sum() for name in names).sqrt().item()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", [*NETWORKS, "residual"])
def test_a_hidden_permutation_is_found(name, seed):
    one = network(name)
    permutations, first = permutations_of(one), one.state_dict()
    for tensor in first.values():
        if tensor.is_floating_point():  # biases and statistics, too, differ from unit to unit
            tensor += 0.01 * torch.rand(tensor.shape, generator=torch.Generator().manual_seed(4))
    second = permuted(first, permutations, shuffled(permutations))
    assert distance(first, second) > 1
    found = match_weights(permutations, first, second, seed)
    again = permuted(second, permutations, found)
    assert all(torch.equal(tensor, again[key]) for key, tensor in first.items())
    # From any other order of the units, too.
    start = shuffled(permutations, seed=3)
    found = match_weights(permutations, first, second, seed, start)
    assert distance(first, permuted(second, permutations, found)) == 0


@pytest.mark.parametrize("name", [*NETWORKS, "residual"])
def test_matching_brings_other_models_nearer_and_stops(name):
    permutations = permutations_of(network(name))
    first, second = (network(name, seed).state_dict() for seed in (0, 1))
    far = distance(first, second)
    found = match_weights(permutations, first, second, seed=0)
    aligned = permuted(second, permutations, found)
    assert distance(first, aligned) < 0.99 * far
    assert units_moved(found) > permutations.units / 2
    again = match_weights(permutations, first, aligned, seed=5)
    assert units_moved(again) == 0, "what matching found is a fixed point"
    inputs = torch.randn(4, *(SHAPE if name in NETWORKS else (4,)))
    module = network(name).eval()
    before, after = (functional_call(module, tensors, inputs) for tensors in (second, aligned))
    assert (before - after).abs().max() < 1e-5 * before.abs().max()
    for start in (shuffled(permutations, seed) for seed in range(3)):
        found = match_weights(permutations, first, second, 0, start)
        begin = distance(first, permuted(second, permutations, start))
        assert distance(first, permuted(second, permutations, found)) <= begin


def test_all_permutations_of_one_hidden_layer():
    """One group is one assignment, so the order is the best of all 720."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
    permutations = permutations_of(module)
    for _ in range(5):
        models = [
            {name: torch.randn(tensor.shape) for name, tensor in module.state_dict().items()} for _ in "ab"
        ]
        found = match_weights(permutations, *models, seed=0)
        orders = [{"0": torch.tensor(order)} for order in itertools.permutations(range(6))]
        distances = [distance(models[0], permuted(models[1], permutations, order)) for order in orders]
        assert torch.equal(found["0"], orders[distances.index(min(distances))]["0"])


def test_all_permutations_of_two_hidden_layers():
    """Alternating orders reach the best pair from some starts; never one that a change of one layer improves."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    permutations, orders = permutations_of(module), list(map(torch.tensor, itertools.permutations(range(4))))
    models = [{name: torch.randn(tensor.shape) for name, tensor in module.state_dict().items()} for _ in "ab"]

    def apart(first, second):
        return distance(models[0], permuted(models[1], permutations, {"0": first, "2": second}))

    best = min(apart(*pair) for pair in itertools.product(orders, orders))
    reached = []
    for seed in range(20):
        found = match_weights(permutations, *models, seed, shuffled(permutations, seed))
        reached.append(apart(found["0"], found["2"]))
        nearest = min(
            *(apart(order, found["2"]) for order in orders), *(apart(found["0"], order) for order in orders)
        )
        assert reached[-1] == pytest.approx(nearest, abs=1e-12)
    assert min(reached) == pytest.approx(best)


def test_models_near_each_other_stay_as_they_are():
    permutations, first = permutations_of(network("convnet")), network("convnet").state_dict()
    near = {name: tensor + 1e-3 * torch.randn(tensor.shape) for name, tensor in first.items()}
    assert units_moved(match_weights(permutations, first, near, seed=0)) == 0
    # Nor does anything move for nothing: units that are all the same.
    same = {name: torch.ones_like(tensor) for name, tensor in first.items()}
    assert units_moved(match_weights(permutations, same, same, seed=0)) == 0
    assert units_moved(unmoved(permutations) | {"0": torch.arange(32).roll(1)}) == 32


def test_buffers_have_no_say_and_move_along():
    permutations, one = permutations_of(network("batch norm")), network("batch norm")
    first, second = one.state_dict(), network("batch norm", seed=1).state_dict()
    found = match_weights(permutations, first, second, seed=0)
    strange = {
        name: tensor + 1000 * torch.rand(tensor.shape) for name, tensor in second.items() if "running" in name
    }
    again = match_weights(permutations, first, second | strange, seed=0)
    assert all(torch.equal(found[name], order) for name, order in again.items())
    parameters = {name: second[name] for name, _ in one.named_parameters()}
    without = match_weights(permutations, dict(one.named_parameters()), parameters, seed=0)
    assert all(torch.equal(found[name], order) for name, order in without.items())
    moved = permuted(second | strange, permutations, found)
    order = found["stages.0.0.conv1"]
    assert torch.equal(
        moved["stages.0.0.norm1.running_mean"], strange["stages.0.0.norm1.running_mean"][order]
    )
    assert set(permuted(parameters, permutations, found)) == set(parameters)


def test_same_seed_same_orders_and_the_models_are_left_alone():
    permutations = permutations_of(network("cnn"))
    first, second = (network("cnn", seed).state_dict() for seed in (0, 1))
    before = {name: tensor.clone() for name, tensor in second.items()}
    found = [match_weights(permutations, first, second, seed=3) for _ in range(2)]
    assert all(torch.equal(found[0][name], found[1][name]) for name in permutations.groups)
    permuted(second, permutations, found[0])["conv1.weight"].zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in second.items())


def test_tensors_that_are_not_the_networks_are_refused():
    permutations, first = permutations_of(network("cnn")), network("cnn").state_dict()
    without = {name: tensor for name, tensor in first.items() if name != "conv2.bias"}
    for wrong, message in (
        (without, r"second model has no tensor conv2\.bias"),
        (first | {"conv2.bias": torch.ones(7)}, r"conv2\.bias of the second model is \[7\], not \[16\]"),
        (first | {"conv2.bias": torch.full((16,), torch.nan)}, r"conv2\.bias .* not finite"),
    ):
        with pytest.raises(FedscapeError, match=message):
            match_weights(permutations, first, wrong, seed=0)
