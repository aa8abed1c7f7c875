"""REPAIR: statistics at their goals, against closed forms and against PyTorch's own batch norm."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from fedscape.connectivity.repair import output_statistics, repair, repaired
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import EvaluationSet, evaluate
from fedscape.models.build import random_model

SHAPE = (2, 12, 12)
RESNET = {"blocks": [1, 1], "width": 8, "norm": "none"}
NETWORKS = {
    "convnet": ("convnet", {}),
    "cnn": ("cnn", {}),
    "resnet": ("resnet", RESNET),
    "group norm": ("resnet", {**RESNET, "norm": "group", "groups": 2, "shortcut": "pad"}),
}


def samples(count=90, batch_size=40):
    """Sorted by brightness, so that batches differ in their statistics."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, *SHAPE)) * np.linspace(0.2, 1, count)[:, None, None, None]
    return EvaluationSet(
        inputs=torch.from_numpy(images.astype(np.uint8)),
        labels=torch.from_numpy(draw.integers(0, 7, count)),
        mean=torch.tensor([0.3, 0.4]),
        std=torch.tensor([0.2, 0.3]),
        batch_size=batch_size,
    )


def ends(name):
    """A network and the tensors of two others of its kind."""
    return random_model(*NETWORKS[name], SHAPE, 7, seed=9), *(
        random_model(*NETWORKS[name], SHAPE, 7, seed).state_dict() for seed in (0, 1)
    )


def middle(first, second):
    return {name: (tensor + second[name]) / 2 for name, tensor in first.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_statistics_of_the_repaired_network_are_the_goals(name):
    module, first, second = ends(name)
    data, mixture = samples(), middle(first, second)
    corrections = repair(module, mixture, first, second, data)
    from_first, from_second = (output_statistics(module, tensors, data) for tensors in (first, second))
    with repaired(module, corrections):
        found = output_statistics(module, mixture, data)
    assert list(corrections) == list(found)[:-1], "all layers but the last"
    for layer in corrections:
        for kind in ("mean", "std"):
            goal = (getattr(from_first[layer], kind) + getattr(from_second[layer], kind)) / 2
            assert torch.allclose(getattr(found[layer], kind), goal, rtol=2e-4, atol=2e-5), (layer, kind)
    plain = output_statistics(module, mixture, data)
    last = list(corrections)[-1]
    assert plain[last].std.sum() < 0.9 * found[last].std.sum(), "mixing had taken spread away"


def test_statistics_are_those_of_all_samples_at_once():
    module, first, _ = ends("cnn")
    found = output_statistics(module, first, samples())
    outputs = {}
    for layer in ("conv2", "hidden1"):
        module.get_submodule(layer).register_forward_hook(
            lambda _, given, output, layer=layer: outputs.update({layer: output})
        )
    ((images, _),) = samples(batch_size=90).batches()
    with torch.no_grad():
        functional_call(module, first, images)
    assert list(found) == ["conv1", "conv2", "hidden1", "hidden2", "classifier"]
    for layer, dims in (("conv2", (0, 2, 3)), ("hidden1", (0,))):
        values = outputs[layer].double()
        assert torch.allclose(found[layer].mean, values.mean(dim=dims), atol=1e-6)
        assert torch.allclose(found[layer].std, values.std(dim=dims, correction=0), rtol=1e-5, atol=1e-7)


def test_one_pass_with_batch_norm_in_train_mode_is_the_same():
    """The authors' procedure on one batch: batch norm whose scale and shift are the goals, behind each layer."""
    module, first, second = ends("convnet")
    data, mixture = samples(batch_size=90), middle(first, second)
    goals = [output_statistics(module, tensors, data) for tensors in (first, second)]
    layers, inserted = [], 0
    for place, layer in enumerate(module):
        layers.append(layer)
        if isinstance(layer, nn.Conv2d | nn.Linear) and place < len(module) - 1:
            values = [
                (getattr(goals[0][str(place)], kind) + getattr(goals[1][str(place)], kind)).float() / 2
                for kind in ("std", "mean")
            ]
            kind = nn.BatchNorm2d if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d
            norm = kind(len(values[0]), eps=1e-12, momentum=None)
            norm.weight.data, norm.bias.data = values
            layers.append(norm)
            inserted += 1
    normed = nn.Sequential(*layers)
    module.load_state_dict(mixture)
    ((images, _),) = data.batches()
    with torch.no_grad():
        expected = normed.train()(images)
        corrections = repair(module, mixture, first, second, data)
        with repaired(module, corrections):
            found = module(images)
    assert inserted == len(corrections) == 7
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_mixture_of_a_model_with_itself_needs_no_repair(name):
    module, first, _ = ends(name)
    corrections = repair(module, middle(first, first), first, first, samples())
    for correction in corrections.values():
        assert torch.allclose(correction.scale, torch.ones(()), atol=1e-5)
        assert correction.shift.abs().max() < 1e-5
    plain = evaluate(module, first, {}, samples())
    with repaired(module, corrections):
        assert evaluate(module, first, {}, samples()).loss == pytest.approx(plain.loss, rel=1e-5)


def test_closed_form_of_one_layer():
    """Of y = a x with a from two models and their mean: scale (|a0| + |a1|) / |a0 + a1|, and the mean between."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False), nn.Linear(3, 7, bias=False))
    data = replace(samples(), inputs=samples().inputs[:, :, :1, :1])
    a = torch.tensor([[2.0, 1.0, -3.0], [1.0, 1.0, 1.0]])
    first, second = (
        {"1.weight": one[:, None] * torch.tensor([[1.0, 0.0]]), "2.weight": torch.ones(7, 3)} for one in a
    )
    (correction,) = repair(module, middle(first, second), first, second, data).values()
    assert torch.allclose(correction.scale, a.abs().sum(dim=0) / a.sum(dim=0).abs(), rtol=1e-5)
    pixel = torch.cat([images for images, _ in data.batches()])[:, 0, 0, 0].mean()
    shift = a.mean(dim=0) * pixel * (1 - correction.scale)
    assert torch.allclose(correction.shift, shift, rtol=1e-4, atol=1e-5)


def test_channels_that_are_constant_are_only_shifted():
    module, first, second = ends("cnn")
    for tensors, bias in ((first, 0.7), (second, 0.1)):
        tensors["conv1.weight"][2] = 0
        tensors["conv1.bias"][2] = bias
    mixture = middle(first, second)
    mixture["conv1.bias"][2] = 5
    correction = repair(module, mixture, first, second, samples())["conv1"]
    assert correction.scale[2] == 1 and correction.shift[2].item() == pytest.approx(0.4 - 5)


def test_the_repaired_network_is_evaluated_and_hooks_are_gone_afterwards():
    module, first, second = ends("resnet")
    mixture, before = middle(first, second), {name: one.clone() for name, one in module.state_dict().items()}
    corrections = repair(module.train(), mixture, first, second, samples())
    assert module.training
    plain = evaluate(module, mixture, {}, samples())
    with repaired(module, corrections):
        assert evaluate(module, mixture, {}, samples()).loss != plain.loss
        half = evaluate(module, mixture, {}, samples(), "bf16")
        assert half.loss == pytest.approx(evaluate(module, mixture, {}, samples()).loss, rel=0.05)
    with pytest.raises(RuntimeError, match="stop"), repaired(module, corrections):
        raise RuntimeError("stop")
    assert evaluate(module, mixture, {}, samples()) == plain
    assert not any(layer._forward_hooks for layer in module.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(2, 2, 3), nn.Linear(2, 7)

    def forward(self, inputs):
        return self.last(self.conv(self.conv(inputs)).mean(dim=(2, 3)))


def test_what_cannot_be_repaired_is_refused():
    normed = random_model("resnet20", {}, SHAPE, 7, seed=0)
    for module, message in (
        (normed, "ResNet has batch norm"),
        (Twice(), "layer conv is called more than once"),
    ):
        with pytest.raises(FedscapeError, match=message) as error:
            repair(module, *[module.state_dict()] * 3, samples())
        assert "\n" not in str(error.value)
        assert not any(layer._forward_hooks for layer in module.modules())
