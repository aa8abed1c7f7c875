"""Names of layers in figures, against the networks that have them."""

import pandas as pd
import pytest

from fedscape.connectivity.layer_groups import layers_of
from fedscape.figures.layer_names import field_names, layer_names
from fedscape.plugins import load


def layers_of_network(kind, settings, shape, classes):
    plugin = load("models.networks", kind)
    network = plugin.build(plugin.Settings(**settings), shape, classes)
    return plugin, list(layers_of(name for name, _ in network.named_parameters()))


@pytest.mark.parametrize(
    "settings", [{"blocks": [1, 2]}, {"blocks": [1, 1], "block": "bottleneck", "norm": "none"}]
)
def test_a_residual_network_has_torchvisions_names(settings):
    plugin, layers = layers_of_network("resnet", settings, (3, 8, 8), 10)
    names = field_names(layers)
    assert names == {
        layer: plugin.torchvision_name(f"{layer}.weight").removesuffix(".weight") for layer in layers
    }
    assert names["stages.1.0.conv1"] == "layer2.0.conv1" and names["classifier"] == "fc"


def test_a_transformer_has_the_names_of_gpt2():
    _, layers = layers_of_network("gpt", {"blocks": 1, "heads": 2, "width": 16}, (16,), 20)
    assert list(field_names(layers).values()) == [
        "wte", "wpe", "h.0.ln_1", "h.0.attn.c_attn", "h.0.attn.c_proj", "h.0.ln_2", "h.0.mlp.c_fc",
        "h.0.mlp.c_proj", "ln_f", "lm_head",
    ]  # fmt: skip


def test_other_networks_keep_their_own():
    _, layers = layers_of_network("vgg", {}, (3, 32, 32), 10)
    assert field_names(layers) == {layer: layer for layer in layers}


def test_layers_of_a_plain_sequence_are_counted():
    _, layers = layers_of_network("convnet", {}, (3, 32, 32), 10)
    assert list(field_names(reversed(layers)).values()) == [f"layer {i}" for i in range(1, 9)]
    assert field_names(layers)[layers[-1]] == "layer 8"


def test_models_of_one_table_are_named_each_for_itself():
    rows = [("res", "classifier"), ("res", "stages.0.0.conv2"), ("vgg", "classifier"), ("res", None)]
    frame = pd.DataFrame(rows, columns=["model", "layer"], index=[3, 5, 7, 9])
    names = layer_names(frame)
    assert names[:9].dropna().tolist() == ["fc", "layer1.0.conv2", "classifier"]
    assert names.isna().tolist() == [False, False, False, True] and list(names.index) == [3, 5, 7, 9]
