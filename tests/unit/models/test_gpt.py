"""The GPT against PyTorch's own transformer, its start, and its tracing."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import layout_of
from fedscape.errors import FedscapeError
from fedscape.models.build import build_model, classifier_names, random_model
from fedscape.models.networks import gpt

SMALL = {"blocks": 2, "heads": 2, "width": 8}
LENGTH, CLASSES = 6, 5


def network(seed: int = 0, **settings) -> gpt.GPT:
    return random_model("gpt", SMALL | settings, (LENGTH,), CLASSES, seed)


def sequences(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(CLASSES, (*shape, LENGTH), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("settings", "length", "classes", "count"),
    [
        ({}, 256, 65, 842_752),
        ({"blocks": 6}, 256, 65, 842_752 + 2 * 198_272),
        ({"blocks": 2, "width": 32}, 32, 92, 2 * 12_704 + 32 * (32 + 2 * 92) + 2 * 32),
    ],
)
def test_parameters(settings, length, classes, count):
    layout = layout_of(build_model("gpt", settings, (length,), classes))
    width, blocks = settings.get("width", 128), settings.get("blocks", 4)
    block = 12 * width**2 + 13 * width  # 3 + 1 + 4 + 4 squares; their biases and those of two norms
    assert layout.parameter_count == count == blocks * block + width * (length + 2 * classes + 2)
    assert (layout.buffer_count, layout.counter_count) == (0, 0)


def in_pytorch(network: gpt.GPT, tokens: torch.Tensor) -> torch.Tensor:
    """Logits [b, classes, t] of PyTorch's encoder with the same weights and a causal mask."""
    width, length = network.tokens.weight.shape[1], tokens.shape[1]
    heads, blocks = network.blocks[0].attention.heads, len(network.blocks)
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0, activation="gelu", batch_first=True, norm_first=True
    )
    encoder = nn.TransformerEncoder(layer, blocks, norm=nn.LayerNorm(width), enable_nested_tensor=False)
    names = {
        "entry.": "self_attn.in_proj_",
        "attention.projection": "self_attn.out_proj",
        "widen": "linear1",
        "narrow": "linear2",
        "attention.": "",
        "blocks": "layers",
    }
    tensors = {}
    for name, tensor in network.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        tensors[name] = tensor
    embedding, places, head = (tensors.pop(f"{one}.weight") for one in ("tokens", "places", "classifier"))
    encoder.load_state_dict(tensors)
    mask = nn.Transformer.generate_square_subsequent_mask(length)
    features = encoder(embedding[tokens] + places[:length], mask=mask)
    return (features @ head.T).transpose(1, 2)


@pytest.mark.parametrize("settings", [{}, {"heads": 4, "blocks": 1}, {"heads": 1, "blocks": 3}])
def test_it_computes_what_pytorchs_transformer_computes(settings):
    model, tokens = network(**settings), sequences(3)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():  # a start is too tame: attention is even, biases are nothing
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    logits = model(tokens)
    assert logits.shape == (3, CLASSES, LENGTH)
    torch.testing.assert_close(logits, in_pytorch(model, tokens))
    torch.testing.assert_close(model(tokens[:, :4]), logits[..., :4])


def test_it_can_be_traced():
    model, tokens = network(), sequences(3)
    traced = torch.fx.symbolic_trace(model)
    assert torch.equal(traced(tokens), model(tokens))
    assert torch.equal(traced(tokens[:1, :2]), model(tokens[:1, :2]))


def test_it_starts_as_gpt_2_does():
    model = random_model("gpt", {"blocks": 8, "width": 64}, (100,), 90, seed=0)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            wanted = 0.02 / 4 if name.endswith(("projection.weight", "narrow.weight")) else 0.02
            assert parameter.std().item() == pytest.approx(wanted, rel=0.1), name
            assert parameter.mean().abs() < wanted / 10, name
    assert model.classifier.weight is not model.tokens.weight
    assert not torch.equal(model.classifier.weight, model.tokens.weight)
    loss = cross_entropy(model(torch.arange(90)[None]), torch.arange(90).flip(0)[None])
    assert loss.item() == pytest.approx(math.log(90), abs=0.05)


def test_the_classifier_is_the_layer_to_the_vocabulary():
    assert classifier_names(network()) == ("classifier.weight",)
    assert list(network().state_dict())[-1] == "classifier.weight"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": 0}, "blocks must be >= 1, got 0"),
        ({"heads": 0}, "heads must be >= 1, got 0"),
        ({"width": -4}, "width must be >= 1, got -4"),
        ({"heads": 3}, "heads must divide width 128, got 3"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        gpt.Settings(**settings)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("gpt", (3, 32, 32), r"model gpt takes tokens, and the samples are images of shape \(3, 32, 32\)"),
        ("convnet", (256,), r"model convnet takes images, and the samples are tokens of shape \(256,\)"),
        ("vgg", (256,), "model vgg takes images"),
    ],
)
def test_a_model_for_other_samples_is_refused(name, shape, message):
    with pytest.raises(FedscapeError, match=message) as error:
        random_model(name, {}, shape, 10, seed=0)
    assert "\n" not in str(error.value)
