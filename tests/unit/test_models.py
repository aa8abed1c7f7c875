"""Networks: published parameter counts, shapes, starts; and their flat layout."""

import pytest
import torch
from torch import nn
from torch.nn.functional import relu

from fedscape.models import resnet20
from fedscape.models.build import build_model, classifier_names, random_model
from fedscape.models.layout import Layout, buffers_of, flatten, layout_of, parameters_of

SHAPES = [(3, 32, 32), (1, 28, 28), (1, 8, 8)]


def convolution(inputs, outputs):
    return 9 * inputs * outputs + outputs


def linear(inputs, outputs):
    return inputs * outputs + outputs


@pytest.mark.parametrize(
    ("shape", "classes", "flattened", "count"),
    [
        ((3, 32, 32), 10, 64 * 4 * 4, 233_354),  # published: FedBE's CNNCifar
        ((3, 32, 32), 100, 64 * 4 * 4, 239_204),
        ((1, 28, 28), 10, 64 * 3 * 3, 204_106),
        ((1, 8, 8), 10, 64 * 2 * 2, 183_626),
        ((3, 20, 20), 10, 64 * 1 * 1, 171_914),  # the smallest image without padding
        ((3, 19, 19), 10, 64 * 4 * 4, 233_354),
        ((1, 4, 4), 10, 64 * 2 * 2, 183_626),
    ],
)
def test_convnet_parameters(shape, classes, flattened, count):
    network = build_model("convnet", {}, shape, classes)
    layers = convolution(shape[0], 32) + convolution(32, 64) + 4 * convolution(64, 64)
    assert layers + linear(flattened, 64) + linear(64, classes) == count
    assert layout_of(network).parameter_count == count
    assert network(torch.zeros(2, *shape)).shape == (2, classes)


def test_convnet_starts_glorot_uniform_with_zero_biases():
    network = random_model("convnet", {}, (3, 32, 32), 10, seed=0)
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            inputs, outputs = layer.weight.shape[1] * layer.weight[0][0].numel(), layer.weight.shape[0]
            fan_out = outputs * layer.weight[0][0].numel()
            bound = (6 / (inputs + fan_out)) ** 0.5
            assert 0.9 * bound < layer.weight.abs().max() <= bound
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("norm", "count", "buffers", "counters"),
    [("batch", 269_722, 2 * 688, 19), ("group", 269_722, 0, 0), ("none", 268_346, 0, 0)],
)
def test_resnet20_parameters(norm, count, buffers, counters):
    """688 = 7 x 16 + 6 x 32 + 6 x 64 normalised channels, each with a scale and a shift."""
    network = build_model("resnet20", {"norm": norm}, (3, 32, 32), 10)
    layout = layout_of(network)
    assert layout.parameter_count == count == 268_346 + (0 if norm == "none" else 2 * 688)
    assert (layout.buffer_count, layout.counter_count) == (buffers, counters)
    assert sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) == 19
    for shape in SHAPES:
        network = build_model("resnet20", {"norm": norm}, shape, 7).eval()
        assert network(torch.zeros(2, *shape)).shape == (2, 7)


def test_resnet20_shortcut_is_subsampling_and_zero_channels():
    """With its last normalisation at zero a block is its shortcut."""
    block = resnet20.Block(resnet20.Settings(), 16, 32, stride=2)
    nn.init.zeros_(block.norm2.weight)
    features = torch.randn(2, 16, 6, 6)
    outputs = block(features)
    torch.testing.assert_close(outputs[:, 8:24], relu(features[:, :, ::2, ::2]))
    assert not outputs[:, :8].any() and not outputs[:, 24:].any()


def test_resnet20_refuses_groups_that_do_not_divide_its_channels():
    with pytest.raises(ValueError, match="groups must divide 16, got 5"):
        resnet20.Settings(norm="group", groups=5)


def test_a_start_depends_on_its_seed_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    starts = [random_model("convnet", {}, (1, 8, 8), 10, seed) for seed in (3, 3, 4)]
    assert torch.equal(torch.random.get_rng_state(), before), "torch's own generator is left alone"
    first, same, other = (next(start.parameters()) for start in starts)
    assert torch.equal(first, same) and not torch.equal(first, other)


@pytest.mark.parametrize(("name", "layer"), [("convnet", "17"), ("resnet20", "classifier")])
def test_the_classifier_is_what_depends_on_the_classes(name, layer):
    few, many = (build_model(name, {}, (3, 32, 32), classes) for classes in (10, 100))
    many = dict(many.named_parameters())
    differing = [key for key, tensor in few.named_parameters() if tensor.shape != many[key].shape]
    assert classifier_names(few) == tuple(differing) == (f"{layer}.weight", f"{layer}.bias")


def test_vectors_hold_the_tensors_in_their_order():
    network = random_model("resnet20", {}, (1, 8, 8), 10, seed=0)
    network(torch.rand(4, 1, 8, 8))
    layout = layout_of(network)
    parameters, floats, counters = flatten(network.state_dict(), layout)
    torch.testing.assert_close(parameters, nn.utils.parameters_to_vector(network.parameters()).detach())
    assert (parameters.dtype, floats.dtype, counters.dtype) == (torch.float32, torch.float32, torch.int64)
    named = {**parameters_of(parameters, layout), **buffers_of(floats, counters, layout)}
    assert list(parameters_of(parameters, layout)) == [name for name, _ in network.named_parameters()]
    for name, tensor in network.state_dict().items():
        assert torch.equal(named[name], tensor), name
    assert set(named) == set(network.state_dict())


def test_named_tensors_are_views_of_the_vector():
    layout = layout_of(nn.Linear(3, 2))
    vector = torch.zeros(layout.parameter_count, dtype=torch.float64)
    parameters_of(vector, layout)["bias"][1] = 5
    assert vector.tolist() == [0] * 7 + [5]
    with pytest.raises(ValueError, match="does not hold 8 numbers"):
        parameters_of(vector[:-1], layout)


def test_layout_survives_its_text():
    layout = layout_of(build_model("resnet20", {}, (3, 32, 32), 10))
    assert Layout.from_json(layout.to_json()) == layout
