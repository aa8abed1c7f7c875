"""VGG-11 against torchvision's: parameters, tensors, values; and images that are smaller than its poolings."""

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.vgg import make_layers

from fedscape.checkpoints.layout import layout_of
from fedscape.models.build import build_model, classifier_names, random_model
from fedscape.models.networks import vgg

WIDTHS = [1, "M", 2, "M", 4, 4, "M", 8, 8, "M", 8, 8, "M"]  # configuration A of the paper


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 128_807_306),
        ({"norm": "batch"}, 128_812_810),
        ({"classifier": "small"}, 9_225_610),
        ({"classifier": "small", "norm": "batch"}, 9_231_114),
    ],
)
def test_parameters(settings, count):
    with torch.device("meta"):  # no memory, no values
        assert layout_of(build_model("vgg", settings, (3, 32, 32), 10)).parameter_count == count


@pytest.mark.parametrize(("name", "norm"), [("vgg11", "none"), ("vgg11_bn", "batch")])
def test_tensors_have_torchvisions_names_and_shapes(name, norm):
    with torch.device("meta"):
        theirs = getattr(models, name)(num_classes=10)
        ours = build_model("vgg", {"norm": norm}, (3, 224, 224), 10)
    assert layout_of(ours) == layout_of(theirs)


@pytest.mark.parametrize("side", [32, 75, 224])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_it_computes_what_torchvision_computes(norm, side):
    width = 2
    channels = [one if one == "M" else one * width for one in WIDTHS]
    theirs = models.VGG(make_layers(channels, batch_norm=norm == "batch"), num_classes=1, init_weights=False)
    theirs.classifier = nn.Sequential(
        nn.Linear(8 * width * 49, 64 * width), nn.ReLU(), nn.Dropout(),
        nn.Linear(64 * width, 64 * width), nn.ReLU(), nn.Dropout(), nn.Linear(64 * width, 7),
    )  # fmt: skip
    ours = random_model("vgg", {"width": width, "norm": norm}, (3, side, side), 7, seed=0)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, 3, side, side, dtype=torch.float64)
    logits = theirs.double().eval()(images)
    torch.testing.assert_close(ours.double().eval()(images), logits)
    assert logits.std(dim=0).min() > 0


def test_the_small_classifier_takes_the_averaged_map():
    network = random_model("vgg", {"classifier": "small", "width": 3}, (1, 75, 64), 5, seed=0)
    images = torch.randn(2, 1, 75, 64)
    features = network.features(images)
    assert features.shape == (2, 24, 2, 2)
    expected = features.mean(dim=(2, 3)) @ network.classifier.weight.T + network.classifier.bias
    torch.testing.assert_close(network(images), expected)


@pytest.mark.parametrize("classifier", ["full", "small"])
@pytest.mark.parametrize(
    ("height", "width", "left"),
    [(32, 32, (1, 1)), (31, 31, (3, 3)), (28, 28, (3, 3)), (8, 8, (2, 2)), (40, 8, (10, 2)), (1, 1, (1, 1))],
)
def test_pooling_stops_early_on_small_images(classifier, height, width, left):
    network = build_model("vgg", {"classifier": classifier, "width": 2}, (1, height, width), 5)
    images = torch.randn(2, 1, height, width)
    assert network.features(images).shape == (2, 16, *left)
    assert network(images).shape == (2, 5)
    assert sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) == 8


def test_it_starts_as_torchvisions_does():
    network = random_model("vgg", {"width": 16}, (3, 32, 32), 10, seed=0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            wanted = (2 / (9 * layer.out_channels)) ** 0.5 if isinstance(layer, nn.Conv2d) else 0.01
            assert layer.weight.std().item() == pytest.approx(wanted, rel=0.1)
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("classifier", "names"),
    [
        ("full", ("classifier.6.weight", "classifier.6.bias")),
        ("small", ("classifier.weight", "classifier.bias")),
    ],
)
def test_it_can_be_traced_and_its_classifier_found(classifier, names):
    network = random_model("vgg", {"classifier": classifier, "width": 2}, (1, 8, 8), 5, seed=0)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(torch.fx.symbolic_trace(network)(images), network(images))
    assert classifier_names(network) == names


def test_settings_are_checked():
    with pytest.raises(ValueError, match="width must be >= 1, got 0"):
        vgg.Settings(width=0)
