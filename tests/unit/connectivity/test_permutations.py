"""Groups of units: the function of a network is the same after any permutation of them, and others are refused."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from fedscape.connectivity.matching import permuted, units_moved, unmoved
from fedscape.connectivity.permutations import permutations_of
from fedscape.errors import FedscapeError
from fedscape.models.build import random_model
from fedscape.models.residual import PaddedShortcut

SHAPE = (3, 12, 12)
RESNET = {"blocks": [1, 2], "width": 8, "groups": 4}
NETWORKS = {
    "convnet": ("convnet", {}),
    "cnn": ("cnn", {"projection": 16}),
    "conv shortcut, batch norm": ("resnet", RESNET),
    "conv shortcut, none": ("resnet", {**RESNET, "norm": "none"}),
    "pad shortcut, batch norm": ("resnet", {**RESNET, "blocks": [1, 1, 1], "shortcut": "pad"}),
    "pad shortcut, none": ("resnet", {**RESNET, "shortcut": "pad", "norm": "none"}),
    "group norm, projection": ("resnet", {**RESNET, "norm": "group", "projection": 12}),
    "one group, pad shortcut": ("resnet", {**RESNET, "norm": "group", "groups": 1, "shortcut": "pad"}),
    "bottleneck, imagenet stem": ("resnet", {**RESNET, "block": "bottleneck", "stem": "imagenet"}),
    "resnet20": ("resnet20", {}),
    "leaf-cnn, one norm for all": ("leaf-cnn", {}),
    "leaf-cnn for femnist": ("leaf-cnn", {"network": "femnist"}),
    "vgg": ("vgg", {"width": 4}),
    "small vgg, batch norm": ("vgg", {"width": 4, "classifier": "small", "norm": "batch"}),
}


class Handmade(nn.Module):
    """What users write: functions, methods, a residual layer between the same units, a layer used twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.GroupNorm(1, 6)
        self.hidden = nn.Linear(6 * 4, 10)
        self.around = nn.Linear(10, 10)
        self.norm1 = nn.BatchNorm1d(10)
        self.classifier = nn.Linear(10, 5)

    def forward(self, inputs):
        maps = functional.max_pool2d(functional.relu(self.norm(self.conv(inputs))), 5)
        hidden = torch.relu(self.hidden(maps.view(maps.size(0), -1)))
        hidden = hidden + 0.5 * self.around(hidden)
        hidden = hidden + torch.tanh(self.around(hidden))
        return functional.dropout(self.classifier(self.norm1(hidden)), training=self.training)


def own_network(name):
    """A network of random tensors, its statistics among them, in float64 and eval mode."""
    network = random_model(*NETWORKS[name], SHAPE, 7, seed=0) if name in NETWORKS else Handmade()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.3 * torch.rand(tensor.shape, generator=draw))
    return network.double().eval()


def shuffled(permutations, seed=2):
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randperm(group.size, generator=draw) for name, group in permutations.groups.items()}


@pytest.mark.parametrize("name", [*NETWORKS, "handmade"])
def test_a_permuted_network_computes_the_same(name):
    network = own_network(name)
    permutations = permutations_of(network)
    inputs = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    orders = shuffled(permutations)
    moved = permuted(network.state_dict(), permutations, orders)
    before, after = network(inputs), functional_call(network, moved, inputs, strict=True)
    assert units_moved(orders) > 0.7 * permutations.units > 0
    assert (before - after).abs().max() < 1e-10 * before.abs().max()
    # Every group matters: moved alone it changes the tensors.
    for group in permutations.groups:
        alone = permuted(network.state_dict(), permutations, unmoved(permutations) | {group: orders[group]})
        assert any(not torch.equal(alone[key], tensor) for key, tensor in network.state_dict().items())


def test_the_order_of_a_permutation():
    """What comes to place i is the old unit order[i]."""
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    permutations = permutations_of(network)
    moved = permuted(network.state_dict(), permutations, {"0": torch.tensor([2, 0, 1])})
    assert torch.equal(moved["0.bias"], network[0].bias[[2, 0, 1]])
    assert torch.equal(moved["2.weight"], network[2].weight[:, [2, 0, 1]])
    assert torch.equal(moved["2.bias"], network[2].bias)


def sizes(name, settings):
    network = random_model(name, settings, (3, 32, 32), 10, seed=0)
    return {name: group.size for name, group in permutations_of(network).groups.items()}


def test_groups_of_plain_networks():
    assert sizes("convnet", {}) == {
        "0": 32, "3": 64, "6": 64, "8": 64, "10": 64, "12": 64, "15": 64
    }  # fmt: skip
    assert sizes("cnn", {}) == {"conv1": 6, "conv2": 16, "hidden1": 120, "hidden2": 84}
    flattened = permutations_of(random_model("cnn", {}, (3, 32, 32), 10, seed=0)).groups["conv2"]
    assert [(axis.tensor, axis.axis, axis.expansion) for axis in flattened.axes] == [
        ("conv2.weight", 0, 1),
        ("conv2.bias", 0, 1),
        ("hidden1.weight", 1, 25),
    ]


def test_groups_of_resnet20():
    """Nine within the blocks, and per stage the channels that its shortcut adds to those of the one before."""
    blocks = [(stage, block) for stage in range(3) for block in range(3)]
    inner = {f"stages.{stage}.{block}.conv1": 16 * 2**stage for stage, block in blocks}
    streams = {"conv": 16, "stages.1.0.conv2": 16, "stages.2.0.conv2": 32}
    assert sizes("resnet20", {}) == inner | streams
    network = random_model("resnet20", {}, (3, 32, 32), 10, seed=0)
    places = {axis.tensor: axis.places for axis in permutations_of(network).groups["conv"].axes}
    assert places["conv.weight"] == tuple(range(16))
    assert places["stages.1.2.norm2.running_var"] == tuple(range(8, 24))
    assert places["classifier.weight"] == tuple(range(24, 40))


def test_groups_of_residual_streams():
    family = {"blocks": [2, 2], "width": 8}
    basic = {f"stages.{stage}.{block}.conv1": 8 * 2**stage for stage in range(2) for block in range(2)}
    assert sizes("resnet", family) == basic | {"conv": 8, "stages.1.0.around.0": 16}
    bottleneck = sizes("resnet", {**family, "block": "bottleneck"})
    inner = {name.replace("conv1", conv): size for name, size in basic.items() for conv in ("conv1", "conv2")}
    assert bottleneck == inner | {"conv": 8, "stages.0.0.around.0": 32, "stages.1.0.around.0": 64}


def test_group_norm_ties_channels():
    family = {"blocks": [1, 1], "width": 8, "norm": "group"}
    assert sizes("resnet", {**family, "groups": 4, "projection": 12}) == {"head.0": 16, "head.2": 12}
    assert len(sizes("resnet", {**family, "groups": 1})) == 4
    assert sizes("resnet", {**family, "groups": 4}) == {}


def test_a_path_around_everything_fixes_what_it_meets():
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer, self.last = nn.Linear(4, 6), nn.Linear(6, 4), nn.Linear(4, 3)

        def forward(self, inputs):
            return self.last(inputs + self.outer(functional.gelu(self.inner(inputs))))

    assert list(permutations_of(Around()).groups) == ["inner"]


class Calls(nn.Module):
    """A function between two layers."""

    def __init__(self, function, between=None):
        super().__init__()
        self.conv, self.last, self.between = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), between
        self.weight, self.function = nn.Parameter(torch.ones(4, 1, 1)), function

    def forward(self, inputs):
        return self.last(self.function(self, self.conv(inputs)).mean(dim=(2, 3)))


REFUSED = {
    "flip": (lambda self, x: torch.flip(x, (1,)), r"flip"),
    "slice": (lambda self, x: x[:, :4], r"getitem"),
    "own parameter": (lambda self, x: x * self.weight, r"weight"),
    "gate": (lambda self, x: x * torch.sigmoid(x), r"mul"),
    "constant": (lambda self, x: x + torch.arange(4.0).view(4, 1, 1), r"_tensor_constant"),
    "mean over channels": (lambda self, x: x - x.mean(dim=1, keepdim=True), r"mean"),
    "flatten of the batch": (lambda self, x: torch.flatten(x), r"flatten"),
    "view": (lambda self, x: x.view(-1, 4), r"view"),
    "transpose": (lambda self, x: x.transpose(1, 2), r"transpose"),
    "grouped": (lambda self, x: self.between(x), r"Conv2d in between has 2 groups"),
    "linear on a map": (lambda self, x: self.between(x), r"Linear in between does not read the channels"),
    "unknown layer": (lambda self, x: self.between(x), r"PixelShuffle in between is not known"),
    "control flow": (lambda self, x: x if x.sum() > 0 else -x, r"cannot be traced"),
    "padding of the input": (lambda self, x: x, r"PaddedShortcut in 0"),
    "flatten behind a linear layer": (lambda self, x: x, r"Linear in 2 has 12 inputs for 4 channels"),
}
BETWEEN = {
    "grouped": nn.Conv2d(4, 4, 3, groups=2),
    "linear on a map": nn.Linear(4, 4),
    "unknown layer": nn.PixelShuffle(2),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_refused(case):
    function, message = REFUSED[case]
    network = Calls(function, BETWEEN.get(case))
    if case == "padding of the input":
        network = nn.Sequential(PaddedShortcut(4, 1), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4, 3))
    elif case == "flatten behind a linear layer":  # of each row of a map: its units lie behind each other
        network = nn.Sequential(nn.Linear(5, 4), nn.Flatten(), nn.Linear(12, 3))
    with pytest.raises(FedscapeError, match=message) as error:
        permutations_of(network)
    assert "\n" not in str(error.value)


def test_a_transformer_is_refused():
    with pytest.raises(FedscapeError, match=r"Embedding in tokens is not known"):
        permutations_of(random_model("gpt", {}, (16,), 11, seed=0))


def test_shared_parameters_are_refused():
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    network[2].weight = network[0].weight
    with pytest.raises(FedscapeError, match=r"2\.weight is the same tensor"):
        permutations_of(network)


def test_deriving_leaves_the_network_as_it_was():
    network = own_network("handmade").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    permutations_of(network)
    assert network.training and network.norm1.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
