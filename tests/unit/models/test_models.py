"""Networks: published parameter counts, shapes, starts; and their flat layout."""

import pytest
import torch
from torch import nn
from torch.nn.functional import relu

from fedscape.checkpoints.layout import Layout, buffers_of, flatten, layout_of, parameters_of
from fedscape.errors import FedscapeError
from fedscape.models.build import build_model, classifier_names, random_model
from fedscape.models.networks import cnn, leaf_cnn, resnet, resnet20
from fedscape.models.residual import ResidualBlock

SHAPES = [(3, 32, 32), (1, 28, 28), (1, 8, 8)]
RESNET18 = {"blocks": [2, 2, 2, 2], "width": 64, "stem": "imagenet"}
RESNET50 = {"blocks": [3, 4, 6, 3], "width": 64, "stem": "imagenet", "block": "bottleneck"}
RESNET56 = {"blocks": [6, 6, 6], "block": "bottleneck"}


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
    block = build_model("resnet20", {}, (3, 32, 32), 10).stages[1][0]
    nn.init.zeros_(block.norm2.weight)
    features = torch.randn(2, 16, 6, 6)
    outputs = block(features)
    torch.testing.assert_close(outputs[:, 8:24], relu(features[:, :, ::2, ::2]))
    assert not outputs[:, :8].any() and not outputs[:, 24:].any()


def test_resnet20_is_the_family_with_padded_shortcuts():
    settings = {"blocks": [3, 3, 3], "width": 16, "shortcut": "pad", "norm": "group", "groups": 4}
    of_the_family = random_model("resnet", settings, (3, 32, 32), 10, seed=1)
    network = random_model("resnet20", {"norm": "group", "groups": 4}, (3, 32, 32), 10, seed=1)
    images = torch.randn(2, 3, 32, 32)
    assert layout_of(network) == layout_of(of_the_family)
    assert torch.equal(network(images), of_the_family(images))


def test_resnet20_refuses_groups_that_do_not_divide_its_channels():
    with pytest.raises(ValueError, match="groups must divide 16, got 5"):
        resnet20.Settings(norm="group", groups=5)


@pytest.mark.parametrize(
    ("settings", "classes", "count"),
    [
        # counted in the networks that the FedAlign study ran
        (RESNET56, 10, 591_322),
        (RESNET56, 100, 614_452),
        (RESNET56 | {"projection": 256}, 100, 746_036),
        # published: ResNet-18 without normalisation of the layer-wise connectivity study, torchvision's networks
        ({"blocks": [2, 2, 2, 2], "width": 64, "norm": "none"}, 10, 11_164_362),
        (RESNET18, 1000, 11_689_512),
        (RESNET50, 1000, 25_557_032),
    ],
)
def test_resnet_parameters(settings, classes, count):
    network = build_model("resnet", settings, (3, 32, 32), classes)
    assert layout_of(network).parameter_count == count


@pytest.mark.parametrize(("name", "settings"), [("resnet18", RESNET18), ("resnet50", RESNET50)])
def test_resnet_computes_what_torchvision_computes(name, settings):
    from torchvision import models

    torch.manual_seed(0)
    theirs = getattr(models, name)(num_classes=7)
    ours = build_model("resnet", settings, (3, 40, 40), 7)
    tensors = list(theirs.state_dict().values())
    ours.load_state_dict(dict(zip(ours.state_dict(), tensors, strict=True)))
    images = torch.randn(4, 3, 40, 40)
    torch.testing.assert_close(ours(images), theirs(images))
    for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(mine, other)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("shortcut", ["conv", "pad"])
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_the_last_block_is_called_once_with_the_previous_stages_output(block, shortcut, stem):
    settings = {"blocks": [2, 1, 2], "width": 8, "block": block, "shortcut": shortcut, "stem": stem}
    network = random_model("resnet", settings | {"projection": 12}, (1, 8, 8), 7, seed=0).eval()
    seen = []

    def see(module, inputs, output):
        seen.append((*inputs, output))

    network.get_submodule(network.last_block).register_forward_hook(see)
    network.stages[1].register_forward_hook(see)
    logits = network(torch.randn(2, 1, 8, 8))
    assert logits.shape == (2, 7)
    (_, before), (inputs, outputs) = seen
    assert inputs is before
    features = network.get_submodule(network.last_block)(inputs)
    assert torch.equal(features, outputs)
    pooled = features.mean(dim=(2, 3))
    first, _, second = network.head
    projected = relu(pooled @ first.weight.T + first.bias) @ second.weight.T + second.bias
    assert projected.shape == (2, 12)
    torch.testing.assert_close(projected @ network.classifier.weight.T + network.classifier.bias, logits)


def test_the_branch_of_a_residual_block_is_scaled():
    block = build_model("resnet", {"blocks": [1, 1], "width": 8, "norm": "none"}, (3, 8, 8), 10).stages[1][0]
    features = torch.randn(2, 8, 6, 6)
    branch, shortcut = block.branch(features), block.shortcut(features)
    torch.testing.assert_close(block(features), relu(shortcut + branch))
    block.branch_scale = 1 / 0.8
    torch.testing.assert_close(block(features), relu(shortcut + branch / 0.8))


def test_the_branch_of_a_dropped_block_is_not_computed():
    network = build_model("resnet", {"blocks": [2], "width": 8}, (3, 8, 8), 10)
    blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
    assert blocks == list(network.stages[0])
    blocks[0].branch_scale = 0.0
    features = torch.randn(2, 8, 4, 4, requires_grad=True)
    assert torch.equal(blocks[0](features), relu(features))
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is None for parameter in blocks[0].parameters())
    assert [block.norm1.num_batches_tracked.item() for block in blocks] == [0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": []}, r"blocks must list at least one stage, each >= 1, got \[\]"),
        ({"blocks": [2, 0]}, r"blocks must list at least one stage, each >= 1, got \[2, 0\]"),
        ({"blocks": [1], "width": 0}, "width must be >= 1, got 0"),
        ({"blocks": [1], "norm": "group", "groups": 5}, "groups must divide 16, got 5"),
        ({"blocks": [1, 1], "norm": "group", "groups": 24}, "groups must divide 32, got 24"),
        (
            {"blocks": [1], "block": "bottleneck", "norm": "group", "groups": 24},
            "groups must divide 64, got 24",
        ),
        ({"blocks": [1], "groups": 0}, "groups must be >= 1, got 0"),
        ({"blocks": [1], "projection": -1}, "projection must be >= 0, got -1"),
    ],
)
def test_resnet_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        resnet.Settings(**settings)


@pytest.mark.parametrize(
    ("shape", "flattened", "count"),
    [
        ((3, 32, 32), 16 * 5 * 5, 62_006),  # published: NIID-Bench's and MOON's simple CNN
        ((1, 28, 28), 16 * 4 * 4, 44_426),
        ((1, 16, 16), 16 * 1 * 1, 15_626),  # the smallest image without padding
        ((1, 15, 15), 16 * 3 * 3, 30_986),
        ((1, 8, 8), 16 * 2 * 2, 21_386),
        ((1, 4, 4), 16 * 1 * 1, 15_626),
    ],
)
def test_cnn_parameters(shape, flattened, count):
    network = build_model("cnn", {}, shape, 10)
    layers = 25 * shape[0] * 6 + 6 + 25 * 6 * 16 + 16
    assert layers + linear(flattened, 120) + linear(120, 84) + linear(84, 10) == count
    assert layout_of(network).parameter_count == count
    assert network(torch.zeros(2, *shape)).shape == (2, 10)
    with_head = build_model("cnn", {"projection": 256}, shape, 10)
    head = linear(84, 84) + linear(84, 256) + linear(256, 10) - linear(84, 10)
    assert layout_of(with_head).parameter_count == count + head
    assert with_head(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_group_norm_is_what_batch_norm_is_replaced_by(block):
    """opacus puts GroupNorm(min(32, C), C) in the place of BatchNorm2d(C), as the code of Where to Begin? has it."""
    settings = {"blocks": [1, 1], "width": 16, "block": block}
    batch = build_model("resnet", settings, (3, 16, 16), 10)
    group = build_model("resnet", settings | {"norm": "group", "groups": 32}, (3, 16, 16), 10)
    norms = [layer for layer in batch.modules() if isinstance(layer, nn.BatchNorm2d)]
    groups = [layer for layer in group.modules() if isinstance(layer, nn.GroupNorm)]
    channels = [layer.num_features for layer in norms]
    assert [(layer.num_groups, layer.num_channels) for layer in groups] == [(min(32, c), c) for c in channels]
    assert min(channels) < 32 <= max(channels)
    assert group(torch.zeros(2, 3, 16, 16)).shape == (2, 10)


@pytest.mark.parametrize(
    ("shape", "classes", "flattened", "count"),
    [
        ((3, 32, 32), 10, 32 * 3 * 3, 31_594),
        ((1, 28, 28), 62, 32 * 3 * 3, 46_046),
        ((1, 8, 8), 10, 32 * 2 * 2, 29_418),
        ((1, 4, 4), 10, 32 * 2 * 2, 29_418),
    ],
)
def test_leaf_cnn_for_celeba(shape, classes, flattened, count):
    """Four times a padded convolution, one and the same group norm, ReLU and pooling."""
    network = random_model("leaf-cnn", {}, shape, classes, seed=0)
    layers = convolution(shape[0], 32) + 3 * convolution(32, 32) + 2 * 32
    assert layers + linear(flattened, classes) == count == layout_of(network).parameter_count
    with torch.no_grad():
        for tensor in (network.norm.weight, network.norm.bias):
            tensor.uniform_(0.5, 1.5)
    images = torch.randn(2, *shape)
    features = images
    for layer in network.convolutions:
        features = nn.functional.conv2d(features, layer.weight, layer.bias, padding=2)
        mean, variance = features.mean((2, 3), keepdim=True), features.var((2, 3), correction=0, keepdim=True)
        features = (features - mean) / (variance + 1e-5).sqrt()
        features = features * network.norm.weight[:, None, None] + network.norm.bias[:, None, None]
        features = nn.functional.max_pool2d(relu(features), 2)
    expected = features.flatten(1) @ network.classifier.weight.T + network.classifier.bias
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "classes", "flattened", "count"),
    [
        ((1, 28, 28), 62, 64 * 7 * 7, 6_603_710),  # published: LEAF's network for FEMNIST
        ((3, 32, 32), 10, 64 * 8 * 8, 8_464_842),
        ((1, 8, 8), 10, 64 * 2 * 2, 598_922),
    ],
)
def test_leaf_cnn_for_femnist(shape, classes, flattened, count):
    network = build_model("leaf-cnn", {"network": "femnist"}, shape, classes)
    layers = 25 * shape[0] * 32 + 32 + 25 * 32 * 64 + 64
    assert (
        layers + linear(flattened, 2048) + linear(2048, classes)
        == count
        == layout_of(network).parameter_count
    )
    assert network(torch.zeros(2, *shape)).shape == (2, classes)


def test_leaf_cnn_settings_are_checked():
    with pytest.raises(ValueError, match="network must be celeba or femnist, got shakespeare"):
        leaf_cnn.Settings(network="shakespeare")


def fire(inputs, squeezed, expanded):
    """Parameters of a block of SqueezeNet: 1x1, then 1x1 and 3x3 side by side."""
    return linear(inputs, squeezed) + linear(squeezed, expanded) + convolution(squeezed, expanded)


@pytest.mark.parametrize(
    ("shape", "classes", "count"),
    [
        ((3, 224, 224), 1000, 1_248_424),  # published: torchvision's squeezenet1_0
        ((3, 32, 32), 10, 740_554),
        ((1, 28, 28), 62, 757_822),
        ((1, 21, 21), 10, 731_146),
        ((1, 20, 20), 10, 731_146),
        ((1, 8, 8), 10, 731_146),
    ],
)
def test_squeezenet_parameters(shape, classes, count):
    network = build_model("squeezenet", {}, shape, classes)
    blocks = [(96, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128), (256, 48, 192), (384, 48, 192)]
    blocks += [(384, 64, 256), (512, 64, 256)]
    layers = 49 * shape[0] * 96 + 96 + sum(fire(*block) for block in blocks) + linear(512, classes)
    assert layers == count == layout_of(network).parameter_count
    if shape[1] < 224:
        assert network(torch.zeros(2, *shape)).shape == (2, classes)


def test_squeezenet_is_torchvisions_without_dropout():
    from torchvision.models import squeezenet1_0

    torch.manual_seed(0)
    theirs = squeezenet1_0(num_classes=7, dropout=0)
    ours = build_model("squeezenet", {}, (3, 40, 40), 7)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(4, 3, 40, 40)
    assert torch.equal(ours(images), theirs(images))
    assert not any(isinstance(layer, nn.Dropout) for layer in ours.modules())


def test_squeezenet_refuses_images_of_which_nothing_is_left():
    with pytest.raises(FedscapeError, match="squeezenet takes images of 8 pixels or more, got 7"):
        build_model("squeezenet", {}, (3, 7, 9), 10)


def test_cnn_settings_are_checked():
    with pytest.raises(ValueError, match="projection must be >= 0, got -1"):
        cnn.Settings(projection=-1)


def test_a_start_depends_on_its_seed_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    starts = [random_model("convnet", {}, (1, 8, 8), 10, seed) for seed in (3, 3, 4)]
    assert torch.equal(torch.random.get_rng_state(), before), "torch's own generator is left alone"
    first, same, other = (next(start.parameters()) for start in starts)
    assert torch.equal(first, same) and not torch.equal(first, other)


@pytest.mark.parametrize(
    ("name", "settings", "layer"),
    [
        ("convnet", {}, "17"),
        ("resnet20", {}, "classifier"),
        ("resnet", {"blocks": [1], "projection": 8}, "classifier"),
        ("cnn", {"projection": 8}, "classifier"),
        ("leaf-cnn", {}, "classifier"),
        ("leaf-cnn", {"network": "femnist"}, "9"),
        ("squeezenet", {}, "classifier.1"),
    ],
)
def test_the_classifier_is_what_depends_on_the_classes(name, settings, layer):
    few, many = (build_model(name, settings, (3, 32, 32), classes) for classes in (10, 100))
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
