"""Networks cut into segments: the same numbers, every tensor in its place, and what cannot be cut."""

import chain_networks as networks
import pytest
import torch
from chain_networks import named, pair, samples_for
from torch import nn
from torch.func import functional_call

from fedscape.connectivity.chain import chain_of, first_uses
from fedscape.evaluation.evaluate import mode

RESNET = {"blocks": [1, 2], "width": 4}
CUT = {
    "convnet": (named("convnet"), 8),
    "cnn": (named("cnn"), 5),
    "vgg": (named("vgg", classifier="small", width=2), 9),
    "resnet": (named("resnet", norm="none", **RESNET), 5),
    "resnet, batch norm": (named("resnet", **RESNET), 6),
    "resnet, bottleneck": (named("resnet", block="bottleneck", norm="none", **RESNET), 5),
    "resnet20": (named("resnet20", norm="none"), 11),
    "transformer": (networks.Transformer, 8),
    "gpt": (networks.gpt, 8),
    "tied": (networks.Tied, 8),
    "sized": (networks.Sized, 5),
    "partly": (networks.Partly, 3),
    "in place": (networks.InPlace, 4),
    "root": (networks.RootParameter, 3),
    "one layer": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 5)), 1),
    "moods": (networks.Moods, 1),
    "counting": (networks.Counting, 2),
    "folded": (networks.Folded, 1),
}
"""Makers of networks, and in how many segments there are."""


def cut(make):
    """A network, its segments, the tensors of two models, and a batch that is not the one of the check."""
    module, *models = pair(make)
    models = [parameters | buffers for parameters, buffers in models]
    (inputs, _), (others, _), _ = samples_for(module).batches()
    return module, chain_of(module, inputs[:2], models), models, others[:7]


def run(chain, tensors, inputs):
    values = (inputs.clone(),)
    for segment in chain:
        values = segment(values, tensors)
    (output,) = values
    return output


@pytest.mark.parametrize("name", CUT)
def test_a_chain_computes_what_the_network_does(name):
    make, segments = CUT[name]
    module, chain, models, inputs = cut(make)
    assert len(chain) == segments
    with mode(module, training=False), torch.no_grad():
        for tensors in models:
            expected = functional_call(module, tensors, inputs.clone())
            torch.testing.assert_close(run(chain, tensors, inputs), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CUT)
def test_segments_have_every_tensor_once(name):
    module, chain, *_ = cut(CUT[name][0])
    found = [name for segment in chain for name in set(segment.names.values())]
    tensors = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    # Shared weights are used at both ends; one of the networks leaves out some of its layers.
    assert len(found) == len(set(found)) + (name == "tied")
    assert set(found) == set(tensors) or (name == "sized" and set(found) < set(tensors))
    places = first_uses(chain, tensors)
    for place, segment in enumerate(chain):
        assert all(places[name] <= place for name in segment.names.values())
    order = [places[name] for name, _ in module.named_parameters() if name in found]
    # But for what lies at the root, names come in the order of use.
    assert order == sorted(order) or name == "root"


def test_layers_that_are_not_used_come_last():
    module, chain, *_ = cut(networks.Sized)
    names = [name for name, _ in module.named_parameters()]
    assert first_uses(chain, names)["blocks.0.hidden.weight"] == len(chain) - 1


def test_what_changes_its_inputs_is_given_copies():
    _, chain, models, inputs = cut(networks.InPlace)
    assert [segment.overwrites for segment in chain] == [True, True, True, True]
    before = inputs.clone()
    with torch.no_grad():
        values = (inputs,)
        for segment in chain:
            copies = [value.clone() for value in values]
            after = segment(values, models[0])
            assert all(torch.equal(value, copy) for value, copy in zip(values, copies, strict=True))
            values = after
    assert torch.equal(inputs, before)


def test_one_value_that_depends_on_weights_is_between_two_segments():
    """Sizes and masks, the same for all models, may be there beside it."""
    _, chain, models, inputs = cut(networks.Sized)
    values = (inputs,)
    with torch.no_grad():
        for segment in chain[:-1]:
            values = segment(values, models[0])
            assert sum(isinstance(value, torch.Tensor) and value.ndim == 3 for value in values) == 1


def test_a_network_is_left_as_it_was():
    for make, _ in CUT.values():
        module, *models = pair(make)
        module.train()
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        attributes = set(vars(module))
        chain_of(module, next(samples_for(module).batches())[0], [{**one[0], **one[1]} for one in models])
        assert module.training and set(vars(module)) == attributes
        assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_tracing_says_why_it_gave_up(caplog):
    caplog.set_level("INFO")
    cut(networks.Folded)
    assert "Folded is evaluated as a whole: its trace computes something else" in caplog.text
