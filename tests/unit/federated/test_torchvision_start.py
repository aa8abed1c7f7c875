"""Starts from torchvision's weights: its own networks, with random weights in a file, are what ours then compute."""

import pytest
import torch
from engine_helpers import images_and_labels
from small_run import write_noise
from torch import nn
from torchvision import models

from fedscape.checkpoints.state_dicts import read_weights, write_weights
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import normalise
from fedscape.federated.initial import make_initial
from fedscape.federated.initials import torchvision as plugin
from fedscape.jobs.resume import Resume
from fedscape.models.build import random_model
from fedscape.plugins import Plugin

CLASSES = tuple("abcdefg")
RESNET18 = {"blocks": [2, 2, 2, 2], "width": 64, "stem": "imagenet"}
RESNET50 = {"blocks": [3, 4, 6, 3], "width": 64, "stem": "imagenet", "block": "bottleneck"}
ARCHITECTURES = {
    "resnet18": ("resnet", RESNET18, models.resnet18),
    "resnet34": ("resnet", {**RESNET18, "blocks": [3, 4, 6, 3]}, models.resnet34),
    "resnet50": ("resnet", RESNET50, models.resnet50),
    "squeezenet1_0": ("squeezenet", {}, models.squeezenet1_0),
}


def theirs(name: str = "resnet18", classes: int = len(CLASSES)) -> nn.Module:
    """torchvision's network with random weights, statistics and counters, in eval mode."""
    torch.manual_seed(0)
    network = ARCHITECTURES[name][2](num_classes=classes).eval()
    for tensor in network.buffers():
        tensor.copy_(tensor + torch.rand_like(tensor) if tensor.is_floating_point() else torch.tensor(5))
    return network


def written(folder, tensors: dict[str, torch.Tensor], name: str = "theirs.pth"):
    path = folder / name
    if path.suffix == ".safetensors":
        write_weights(path, tensors)
    else:
        torch.save(tensors, path)
    return path


def start(folder, file, model: str = "resnet", settings: dict | None = None, shape=(3, 32, 32)):
    """Our network as a run would start, and the state_dict that it comes from."""
    if not (folder / "data").exists():
        write_noise(folder / "data", classes=CLASSES, shape=shape)
    settings = RESNET18 if settings is None else settings
    make_initial(
        start=Plugin("torchvision", {"file": str(file)}),
        model=Plugin(model, settings),
        dataset=folder / "data",
        seed=3,
        resume=Resume(folder / "made.resume", "test"),
        out=folder / "made.safetensors",
    )
    network = random_model(model, settings, shape, len(CLASSES), seed=9).eval()
    tensors = read_weights(folder / "made.safetensors")
    network.load_state_dict(tensors)
    return network, tensors


def images(shape=(3, 32, 32)) -> torch.Tensor:
    data = images_and_labels(6, shape)
    return normalise(data.inputs, data.mean, data.std)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [*((name, "pth") for name in ARCHITECTURES), ("resnet18", "pt"), ("resnet18", "safetensors")],
)
def test_the_logits_are_torchvisions(tmp_path, name, suffix, capsys):
    model, settings, _ = ARCHITECTURES[name]
    network = theirs(name)
    ours, tensors = start(tmp_path, written(tmp_path, network.state_dict(), f"w.{suffix}"), model, settings)
    assert len(tensors) == len(network.state_dict())
    torch.testing.assert_close(ours(images()), network(images()), rtol=1e-5, atol=1e-5)
    assert "random" not in capsys.readouterr().err


def test_older_files_have_no_counters(tmp_path):
    network = theirs()
    tensors = {name: one for name, one in network.state_dict().items() if not name.endswith("tracked")}
    ours, _ = start(tmp_path, written(tmp_path, tensors))
    torch.testing.assert_close(ours(images()), network(images()), rtol=1e-5, atol=1e-5)
    assert ours.norm.num_batches_tracked == 0


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_0"])
def test_the_classifier_is_fresh_where_the_number_of_classes_differs(tmp_path, name, capsys):
    model, settings, _ = ARCHITECTURES[name]
    network = theirs(name, classes=1000)
    ours, tensors = start(tmp_path, written(tmp_path, network.state_dict()), model, settings)
    random = random_model(model, settings, (3, 32, 32), len(CLASSES), seed=3)
    layer = "classifier" if model == "resnet" else "classifier.1"
    for part in ("weight", "bias"):
        assert torch.equal(tensors[f"{layer}.{part}"], random.state_dict()[f"{layer}.{part}"])
    assert f"{layer}.weight, {layer}.bias (2 of {len(tensors)} tensors)" in capsys.readouterr().err
    # With their network's last layer ours is theirs.
    last = network.fc if model == "resnet" else network.classifier[1]
    with torch.no_grad():
        for part in ("weight", "bias"):
            getattr(ours.get_submodule(layer), part).copy_(getattr(last, part)[: len(CLASSES)])
    torch.testing.assert_close(ours(images()), network(images())[:, : len(CLASSES)], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", [0, 12])
def test_group_norm_and_heads_are_fresh(tmp_path, head):
    """As where batch norm is replaced in torchvision's network: its convolutions, and new group norms."""
    network = theirs()
    settings = {**RESNET18, "norm": "group", "groups": 32, "projection": head}
    ours, _ = start(tmp_path, written(tmp_path, network.state_dict()), settings=settings)
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            parent, _, child = name.rpartition(".")
            setattr(
                network.get_submodule(parent),
                child,
                nn.GroupNorm(min(32, layer.num_features), layer.num_features),
            )
    if head:
        random = random_model("resnet", settings, (3, 32, 32), len(CLASSES), seed=3)
        assert torch.equal(ours.head[0].weight, random.head[0].weight)
        assert torch.equal(ours.classifier.weight, random.classifier.weight)
        network.fc = nn.Sequential(ours.head, ours.classifier)
    torch.testing.assert_close(ours(images()), network(images()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_0"])
def test_the_first_convolution_is_fresh_for_images_with_other_channels(tmp_path, name):
    model, settings, _ = ARCHITECTURES[name]
    network, shape = theirs(name), (1, 28, 28)
    ours, tensors = start(tmp_path, written(tmp_path, network.state_dict()), model, settings, shape)
    random = random_model(model, settings, shape, len(CLASSES), seed=3)
    first = "conv" if model == "resnet" else "features.0"
    assert torch.equal(tensors[f"{first}.weight"], random.state_dict()[f"{first}.weight"])
    their_first = "conv1" if model == "resnet" else "features.0"
    parent, _, child = their_first.rpartition(".")
    setattr(network.get_submodule(parent), child, ours.get_submodule(first))
    torch.testing.assert_close(ours(images(shape)), network(images(shape)), rtol=1e-5, atol=1e-5)


def test_groups_of_a_file_with_group_norm_are_taken(tmp_path):
    network = models.resnet18(
        num_classes=len(CLASSES), norm_layer=lambda channels: nn.GroupNorm(32, channels)
    ).eval()
    for layer in network.modules():
        if isinstance(layer, nn.GroupNorm):
            nn.init.uniform_(layer.weight)
    settings = {**RESNET18, "norm": "group", "groups": 32}
    ours, _ = start(tmp_path, written(tmp_path, network.state_dict()), settings=settings)
    torch.testing.assert_close(ours(images()), network(images()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "model", "settings", "message"),
    [
        ("resnet34", "resnet", RESNET18, r"theirs\.pth: has unknown layer1\.2\.conv1\.weight"),
        ("resnet18", "resnet", RESNET50, r"theirs\.pth: lacks layer1\.0\.conv3\.weight"),
        ("squeezenet1_0", "resnet", RESNET18, r"theirs\.pth: lacks conv1\.weight, bn1\.weight"),
        ("resnet18", "squeezenet", {}, r"theirs\.pth: lacks features\.0\.weight"),
        (
            "resnet18",
            "resnet",
            {**RESNET18, "stem": "cifar"},
            r"theirs\.pth: conv1\.weight has shape \(64, 3, 7, 7\), the model's has \(64, 3, 3, 3\)",
        ),
        ("resnet18", "resnet", {**RESNET18, "norm": "none"}, r"theirs\.pth: has unknown bn1\.weight"),
        ("resnet18", "resnet", {**RESNET18, "width": 32}, r"theirs\.pth: bn1\.weight has shape|theirs\.pth: conv1\.weight has shape"),
        ("resnet18", "convnet", {}, r"theirs\.pth: model convnet is none of torchvision's; use one of kind resnet"),
    ],
)  # fmt: skip
def test_a_file_of_another_architecture_is_named(tmp_path, name, model, settings, message):
    file = written(tmp_path, theirs(name).state_dict())
    with pytest.raises(FedscapeError, match=message) as error:
        start(tmp_path, file, model, settings)
    assert "\n" not in str(error.value)


def test_files_that_are_missing_or_broken_are_named(tmp_path):
    with pytest.raises(FedscapeError, match=r"nowhere\.pth: no such file of weights"):
        start(tmp_path, tmp_path / "nowhere.pth")
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(FedscapeError, match=r"broken\.pth: not a whole file of weights"):
        start(tmp_path, tmp_path / "broken.pth")
    odd = {**theirs().state_dict(), "conv1.weight": torch.zeros(3)}
    with pytest.raises(FedscapeError, match=r"odd\.pth: conv1\.weight has shape \(3,\)"):
        start(tmp_path, written(tmp_path, odd, "odd.pth"))
    torch.save(theirs(), tmp_path / "module.pth")  # a whole network would need its code to be run
    with pytest.raises(FedscapeError, match=r"module\.pth: not a whole file of weights"):
        start(tmp_path, tmp_path / "module.pth")


def test_settings_are_checked():
    with pytest.raises(ValueError, match=r"file must be a \.safetensors, \.pt or \.pth, got weights\.h5"):
        plugin.Settings(file="weights.h5")
