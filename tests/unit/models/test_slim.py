"""Slimming: a narrower network inside a network, against networks built narrow from slices of its weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from fedscape.errors import FedscapeError
from fedscape.models.build import build_model, random_model
from fedscape.models.slim import slim_channels, slimmed

SHAPE = (3, 16, 16)
FAMILY = [
    # At half its width a network of the family is the one with half the channels; groups keep their size.
    ({"block": block, "shortcut": shortcut, "norm": norm}, groups)
    for block, shortcut, norm, groups in (
        ("basic", "conv", "batch", None),
        ("basic", "pad", "batch", None),
        ("bottleneck", "conv", "batch", None),
        ("bottleneck", "pad", "group", (8, 4)),
        ("basic", "conv", "group", (4, 2)),
        ("basic", "conv", "none", None),
    )
]


def families(settings, groups=None):
    """A network with 16 channels in its stem and one with 8 that has the first slices of its weights."""
    wide = {"blocks": [1, 2], "width": 16, "projection": 32} | settings
    narrow = wide | {"width": 8, "projection": 16}
    if groups:
        wide["groups"], narrow["groups"] = groups
    large = random_model("resnet", wide, SHAPE, 10, seed=0)
    small = build_model("resnet", narrow, SHAPE, 10)
    uneven(large)
    take_slices(small, large)
    return large, small


def uneven(network):
    """Scales and shifts that are not all the same, so that a wrong slice shows."""
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.5, 0.5)


def take_slices(small, large):
    with torch.no_grad():
        for mine, of_large in zip(small.parameters(), large.parameters(), strict=True):
            mine.copy_(first(of_large, mine.shape))


def first(tensor, shape):
    return tensor[tuple(slice(length) for length in shape)]


@pytest.mark.parametrize(
    ("width", "kept"),
    [
        # the widths of the authors' networks, from their code
        (0.8, {16: 16, 32: 24, 64: 48, 128: 104, 256: 208}),
        (0.25, {16: 8, 32: 8, 64: 16, 128: 32, 256: 64}),
        (0.5, {6: 6, 8: 8, 12: 8}),
        (1.0, {6: 6, 12: 12, 17: 17}),
    ],
)
def test_kept_channels_by_hand(width, kept):
    assert {channels: slim_channels(channels, width) for channels in kept} == kept


@given(st.integers(1, 600), st.integers(1, 63))
def test_kept_channels_are_the_nearest_allowed_multiple_of_eight(channels, sixty_fourths):
    wanted = channels * sixty_fourths / 64
    allowed = [multiple for multiple in range(8, 700, 8) if multiple >= 0.9 * wanted]
    nearest = min(allowed, key=lambda multiple: (abs(multiple - wanted), -multiple))
    assert slim_channels(channels, sixty_fourths / 64) == min(nearest, channels)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("settings", "groups"), FAMILY)
def test_a_slimmed_network_is_the_narrow_one(settings, groups, training):
    """Logits and gradients; batch norm uses the batch, and leaves the running statistics, in either mode."""
    large, small = families(settings, groups)
    large.train(training)
    before = {name: buffer.clone() for name, buffer in large.named_buffers()}
    images, labels = torch.randn(8, *SHAPE), torch.arange(8)
    with slimmed(large, 0.5, keep=("classifier",)):
        logits = large(images)
    expected = small(images)
    torch.testing.assert_close(logits, expected)
    cross_entropy(logits, labels).backward()
    cross_entropy(expected, labels).backward()
    for mine, of_large in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(first(of_large.grad, mine.shape), mine.grad)
        first(of_large.grad, mine.shape).zero_()
        assert not of_large.grad.any(), "channels that are not kept have no gradient"
    for name, buffer in large.named_buffers():
        assert torch.equal(buffer, before[name]), name


def test_slimmed_convolutions_without_residual_blocks():
    """ConvNet: biases, and a flattened map whose first channels are its first features."""
    large = random_model("convnet", {}, (3, 32, 32), 10, seed=0)
    shapes = [(3, 16, 0), (16, 32, 0), (32, 32, 0), (32, 32, 1), (32, 32, 1), (32, 32, 1)]
    layers = []
    for number, (inputs, outputs, padding) in enumerate(shapes):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=padding), nn.ReLU()]
        if number < 2:
            layers.append(nn.MaxPool2d(2))
    small = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 4 * 4, 32), nn.ReLU(), nn.Linear(32, 10))
    with torch.no_grad():
        for layer in large:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.bias.normal_()
    take_slices(small, large)
    images = torch.randn(4, 3, 32, 32)
    with slimmed(large, 0.5, keep=("17",)):
        torch.testing.assert_close(large(images), small(images))


def test_slimmed_gradients_of_several_models_at_once():
    """vmap over the parameters, as the lanes do it, against the narrow network of each lane."""
    large, small = families({"norm": "batch"})
    lanes = 3
    stacked = {
        name: parameter.detach() + 0.1 * torch.randn(lanes, *parameter.shape)
        for name, parameter in large.named_parameters()
    }
    buffers = dict(large.named_buffers())
    images, labels = torch.randn(lanes, 6, *SHAPE), torch.arange(6).repeat(lanes, 1)

    def loss(parameters, images, labels):
        return cross_entropy(functional_call(large, {**parameters, **buffers}, (images,)), labels)

    with slimmed(large, 0.5, keep=("classifier",)):
        gradients = vmap(grad(loss))(stacked, images, labels)

    shapes = {name: parameter.shape for name, parameter in small.named_parameters()}
    for lane in range(lanes):
        with torch.no_grad():
            for name, parameter in small.named_parameters():
                parameter.copy_(first(stacked[name][lane], shapes[name]))
        small.zero_grad()
        cross_entropy(small(images[lane]), labels[lane]).backward()
        for name, parameter in small.named_parameters():
            of_large = first(gradients[name][lane], shapes[name])
            torch.testing.assert_close(of_large, parameter.grad, rtol=1e-4, atol=1e-5)
            assert of_large.square().sum() == pytest.approx(gradients[name][lane].square().sum().item())


@pytest.mark.parametrize("shortcut", ["conv", "pad"])
def test_the_last_stage_alone_is_slimmed(shortcut):
    """FedAlign's sub-network: the first channels of the stage's input, the stage's first channels."""
    large, small = families({"shortcut": shortcut})
    features = torch.randn(4, 16, 16, 16)
    stage = large.get_submodule(large.last_block)
    tensors = {name: tensor.detach().clone() for name, tensor in stage.state_dict().items()}
    before = stage(features)
    kept = features[:, : slim_channels(16, 0.5)]
    with slimmed(stage, 0.5):
        outputs = functional_call(stage, tensors, (kept,))
    torch.testing.assert_close(outputs, small.get_submodule(small.last_block)(kept))
    torch.testing.assert_close(stage(features), before)


def test_the_published_channels_of_resnet_56():
    network = build_model("resnet", {"blocks": [6, 6, 6], "block": "bottleneck"}, SHAPE, 100)
    seen = set()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, _, y: seen.add((layer.out_channels, y.shape[1])))
    with slimmed(network, 0.8, keep=("classifier",)):
        assert network(torch.randn(2, *SHAPE)).shape == (2, 100)
    assert seen == {(16, 16), (32, 24), (64, 48), (128, 104), (256, 208)}


def test_a_dropped_block_pads_to_the_kept_channels():
    network = build_model("resnet20", {}, SHAPE, 10)
    block = network.stages[1][0]
    block.branch_scale = 0.0
    with slimmed(network, 0.8, keep=("classifier",)):
        assert block(torch.randn(2, 16, 8, 8)).shape == (2, 24, 4, 4)
        assert network(torch.randn(2, *SHAPE)).shape == (2, 10)


def test_width_one_changes_nothing():
    one, other = (random_model("resnet20", {}, SHAPE, 10, seed=0) for _ in range(2))
    images = torch.randn(4, *SHAPE)
    with slimmed(one, 1.0, keep=("classifier",)):
        assert torch.equal(one(images), other(images))
    for mine, its in zip(one.buffers(), other.buffers(), strict=True):
        assert torch.equal(mine, its), "running statistics are updated as ever"


def test_afterwards_the_network_is_as_it_was():
    network = random_model("resnet20", {"norm": "group"}, SHAPE, 10, seed=0)
    images = torch.randn(2, *SHAPE)
    before, attributes = network(images), [set(vars(layer)) for layer in network.modules()]
    with slimmed(network, 0.5, keep=("classifier",)):
        half = network(images)
        with slimmed(network, 0.75, keep=("classifier",)):
            assert not torch.equal(network(images), half)
        assert torch.equal(network(images), half)
    with pytest.raises(RuntimeError, match="stop"), slimmed(network, 0.5):
        raise RuntimeError("stop")
    assert torch.equal(network(images), before)
    assert [set(vars(layer)) for layer in network.modules()] == attributes


@pytest.mark.parametrize("width", [0.0, -0.5, 1.5])
def test_impossible_widths_are_refused(width):
    with pytest.raises(ValueError, match=r"width must be > 0 and <= 1"), slimmed(nn.Linear(2, 2), width):
        pass


def test_an_unknown_layer_to_keep_is_refused():
    network = build_model("cnn", {}, SHAPE, 10)
    with pytest.raises(ValueError, match="Sequential has no output"), slimmed(network, 0.5, keep=("output",)):
        pass


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Conv2d(16, 16, 3, groups=4)], r"layer 0: a convolution in 4 groups cannot be slimmed"),
        ([nn.Conv2d(16, 128, 3), nn.GroupNorm(8, 128)], r"layer 1: width 0\.8 keeps 104 of 128 channels"),
    ],
)
def test_layers_that_cannot_be_slimmed_are_named(layers, message):
    network = nn.Sequential(*layers)
    with pytest.raises(FedscapeError, match=message) as error, slimmed(network, 0.8):
        network(torch.randn(2, 16, 4, 4))
    assert "\n" not in str(error.value)
