"""The LSTM against PyTorch's own, and what its users count on: lanes, twice differentiable."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import federation, images_and_labels, owned, play
from engine_helpers import network as image_network
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import flatten, layout_of, parameters_of
from fedscape.evaluation.eigenvalues import HessianProduct
from fedscape.evaluation.evaluate import EvaluationSet, evaluate
from fedscape.federated.lanes import Lanes
from fedscape.models.build import build_model, classifier_names, random_model
from fedscape.models.networks import lstm
from fedscape.settings.training import TrainingSettings

SMALL = {"embedding": 4, "hidden": 6, "layers": 2, "dense": 5}
LENGTH, CLASSES = 7, 5
SIZES = (10, 5, 12, 8)


def network(seed: int = 0, **settings) -> lstm.LSTM:
    """With weights that are all but zero, so that every gate matters."""
    module = random_model("lstm", SMALL | settings, (LENGTH,), CLASSES, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.4)
    return module


def sequences(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(CLASSES, (*shape, LENGTH), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("settings", "classes", "count"),
    [
        ({}, 10_004, 4_050_748),  # published: Adaptive Federated Optimization, table of models
        ({"embedding": 8, "hidden": 256, "layers": 2, "dense": 0}, 90, 820_522),  # likewise
        (SMALL, CLASSES, 20 + 4 * 6 * 11 + 4 * 6 * 13 + 35 + 30),
    ],
)
def test_parameters(settings, classes, count):
    layout = layout_of(build_model("lstm", settings, (20,), classes))
    values = {"embedding": 96, "hidden": 670, "layers": 1, "dense": 96} | settings
    inputs, hidden, dense = values["embedding"], values["hidden"], values["dense"]
    layers = 4 * hidden * (inputs + hidden + 1) + (values["layers"] - 1) * 4 * hidden * (2 * hidden + 1)
    ends = classes * inputs + (dense * (hidden + 1) if dense else 0) + classes * ((dense or hidden) + 1)
    assert layout.parameter_count == count == layers + ends
    assert (layout.buffer_count, layout.counter_count) == (0, 0)


def in_pytorch(module: lstm.LSTM, tokens: torch.Tensor) -> torch.Tensor:
    """Logits [b, classes, t] of torch.nn.LSTM with the same weights."""
    layers = list(module.layers)
    theirs = nn.LSTM(module.tokens.embedding_dim, layers[0].hidden, len(layers), batch_first=True)
    with torch.no_grad():
        for number, layer in enumerate(layers):
            getattr(theirs, f"weight_ih_l{number}").copy_(layer.weight_ih)
            getattr(theirs, f"weight_hh_l{number}").copy_(layer.weight_hh)
            getattr(theirs, f"bias_ih_l{number}").copy_(layer.bias)
            getattr(theirs, f"bias_hh_l{number}").zero_()
        features, _ = theirs(module.tokens.weight[tokens])
        for layer in (module.dense, module.classifier):
            if isinstance(layer, nn.Linear):
                features = features @ layer.weight.T + layer.bias
    return features.transpose(1, 2)


@pytest.mark.parametrize("settings", [{}, {"layers": 1}, {"dense": 0}, {"layers": 3, "hidden": 1}])
def test_it_computes_what_pytorchs_lstm_computes(settings):
    module, tokens = network(**settings), sequences(3)
    logits = module(tokens)
    assert logits.shape == (3, CLASSES, LENGTH)
    torch.testing.assert_close(logits, in_pytorch(module, tokens))
    torch.testing.assert_close(module(tokens[:, :4]), logits[..., :4])
    longer = torch.cat([tokens, tokens], dim=1)
    torch.testing.assert_close(module(longer), in_pytorch(module, longer))


def tokens_and_labels(count: int, batch_size: int = 4) -> EvaluationSet:
    """Chains of which each token is, mostly, the one before plus one."""
    steps = np.where(np.random.default_rng(0).random((count, LENGTH + 1)) < 0.9, 1, 3)
    chains = torch.from_numpy((np.cumsum(steps, axis=1) % CLASSES).astype(np.int32))
    return EvaluationSet(chains[:, :-1], chains[:, 1:].long(), torch.empty(0), torch.empty(0), batch_size)


def test_hessian_products_are_those_of_the_whole_hessian():
    module, data = network(embedding=2, hidden=2, dense=2), tokens_and_labels(9)
    layout = layout_of(module)
    point = flatten(module.state_dict(), layout)[0].double()

    def loss(vector):
        logits = functional_call(module, parameters_of(vector, layout), (data.inputs.long(),))
        return cross_entropy(logits, data.labels)

    direction = torch.randn(point.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = HessianProduct(module, layout, point, {}, data)(direction)
    torch.testing.assert_close(found, hessian(loss, point) @ direction, rtol=1e-8, atol=1e-10)


def images_for_squeezenet():
    return image_network("squeezenet"), images_and_labels(sum(SIZES)), 0.01


def sequences_for_lstm():
    return network(), tokens_and_labels(sum(SIZES)), 0.1


@pytest.mark.parametrize("make", [sequences_for_lstm, images_for_squeezenet])
def test_four_lanes_give_what_one_gives(tmp_path, make):
    """Of clients of unequal sizes, two rounds with momentum."""
    found = []
    for lanes in (1, 4):
        module, data, rate = make()
        training = TrainingSettings(rounds=2, local_epochs=2, batch_size=5, lr=rate, momentum=0.9)
        engine = Lanes(module, data, replace(training, lanes=lanes), lanes)
        (tmp_path / str(lanes)).mkdir()
        found.append(play(federation(tmp_path / str(lanes), engine, owned(*SIZES)), rounds=2).parameters)
    for one, four in zip(*found, strict=True):
        torch.testing.assert_close(one, four, rtol=1e-4, atol=1e-5)
    assert (found[0][0] - found[0][2]).abs().max() > 1e-3


def test_it_learns(tmp_path):
    data, losses = tokens_and_labels(sum(SIZES)), []
    module = random_model("lstm", SMALL, (LENGTH,), CLASSES, 0)
    training = TrainingSettings(rounds=3, local_epochs=5, batch_size=4, lr=0.03, optimiser="adamw")
    played = play(federation(tmp_path, Lanes(module, data, training, 1), owned(*SIZES)), rounds=3)
    for vector in played.parameters:
        losses.append(evaluate(module, parameters_of(vector, layout_of(module)), {}, data).loss)
    assert losses[0] == pytest.approx(math.log(CLASSES), abs=0.1)
    assert losses[0] > losses[1] > losses[2] > losses[3] and losses[3] < 0.8


def test_it_starts_as_keras_does():
    module = random_model("lstm", {"hidden": 32, "embedding": 16, "dense": 8}, (9,), 50, seed=0)
    layer = module.layers[0]
    torch.testing.assert_close(layer.weight_hh.T @ layer.weight_hh, torch.eye(32), rtol=1e-5, atol=1e-5)
    for weight in (layer.weight_ih, module.dense.weight, module.classifier.weight):
        bound = math.sqrt(6 / sum(weight.shape))
        assert 0.9 * bound < weight.abs().max() <= bound
    assert 0.045 < module.tokens.weight.abs().max() <= 0.05
    enter, forget, candidate, leave = layer.bias.chunk(4)
    assert (forget == 1).all()
    assert not any(
        bias.any() for bias in (enter, candidate, leave, module.dense.bias, module.classifier.bias)
    )


def test_the_classifier_is_the_layer_to_the_vocabulary():
    assert classifier_names(network()) == ("classifier.weight", "classifier.bias")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding": 0}, "embedding must be >= 1, got 0"),
        ({"hidden": -1}, "hidden must be >= 1, got -1"),
        ({"layers": 0}, "layers must be >= 1, got 0"),
        ({"dense": -1}, "dense must be >= 0, got -1"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        lstm.Settings(**settings)
