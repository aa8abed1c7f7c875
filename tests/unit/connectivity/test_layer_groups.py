"""Layers and groups of them by the names of tensors, and what groups refuse."""

import pytest

from fedscape.checkpoints.layout import layout_of
from fedscape.connectivity.layer_groups import chosen_layers, layers_of
from fedscape.errors import FedscapeError
from fedscape.models.build import build_model


def layers(name, shape=(3, 32, 32), **settings):
    module = build_model(name, settings, shape, 10)
    parameters, buffers = (dict(named) for named in (module.named_parameters(), module.named_buffers()))
    return layers_of(parameters, buffers), module


def test_the_papers_resnet18_has_21_layers():
    """20 convolutions (17 on the way, 3 around a change of shape) and a linear layer, all without norms."""
    found, module = layers("resnet", blocks=[2, 2, 2, 2], width=64, norm="none")
    assert len(found) == 21
    assert layout_of(module).parameter_count == 11_164_362
    assert list(found)[:3] == ["conv", "stages.0.0.conv1", "stages.0.0.conv2"]
    assert found["classifier"] == ("classifier.weight", "classifier.bias")


def test_layers_are_the_modules_of_a_state_dict_in_its_order():
    for name in ("convnet", "cnn", "resnet20"):
        found, module = layers(name)
        listed = [tensor for names in found.values() for tensor in names]
        assert listed == list(module.state_dict())
        assert all(tensor.startswith(f"{layer}.") for layer, names in found.items() for tensor in names)


def test_buffers_belong_to_the_layer_of_their_module():
    found, _ = layers("resnet20")
    assert found["norm"] == tuple(
        f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    )
    assert layers_of(["a.weight", "a.b.weight"], ["a.mask", "a.b.c.mask"]) == {
        "a": ("a.weight", "a.mask"),
        "a.b": ("a.b.weight",),
    }


def test_tensors_of_the_network_itself_are_a_layer():
    assert layers_of(["scale", "shift", "out.weight"]) == {".": ("scale", "shift"), "out": ("out.weight",)}


def test_groups_cover_layers_by_name_or_by_prefix():
    found = layers_of(["stem.weight", "stem.bias", "stages.0.a.w", "stages.0.b.w", "stages.01.w", "out.w"])
    groups = {"ends": ["out", "stem"], "first": ["stages.0"], "second": ["stages.01", "stages.01"]}
    chosen = chosen_layers(found, groups)
    assert chosen == {
        "ends": ("stem.weight", "stem.bias", "out.w"),
        "first": ("stages.0.a.w", "stages.0.b.w"),
        "second": ("stages.01.w",),
    }
    backwards = chosen_layers(found, dict(reversed(groups.items())))
    assert list(backwards) == list(chosen), "shallow to deep, however they are listed"
    assert chosen_layers(found, None) == chosen_layers(found, {}) == found


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"a": ["x"]}, r"^groups: y\.0, y\.1 in no group; the layers are x, y\.0, y\.1$"),
        (
            {"a": ["x", "y"], "b": ["y.1"]},
            r"^groups: in more than one group: y\.1 \(a, b\); the layers are x, y\.0, y\.1$",
        ),
        ({"a": ["x", "y"], "b": ["z"]}, r"^groups\.b: no layer 'z'; the layers are x, y\.0, y\.1$"),
        ({"a": ["x", "y."]}, r"^groups\.a: no layer 'y\.'"),
    ],
)
def test_groups_that_are_refused(groups, message):
    with pytest.raises(FedscapeError, match=message):
        chosen_layers(layers_of(["x.w", "y.0.w", "y.1.w"]), groups)
