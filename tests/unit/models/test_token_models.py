"""What users of every network for tokens count on: no look ahead, and lanes of stacked models."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from fedscape.models.build import random_model

SMALL = {
    "gpt": {"blocks": 2, "heads": 2, "width": 8},
    "lstm": {"embedding": 4, "hidden": 6, "layers": 2, "dense": 5},
}
LENGTH, CLASSES = 7, 5


def network(name: str, seed: int = 0) -> nn.Module:
    """With weights that are all but zero: attention is not even, and every gate matters."""
    module = random_model(name, SMALL[name], (LENGTH,), CLASSES, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return module


def sequences(*shape: int) -> torch.Tensor:
    return torch.randint(CLASSES, (*shape, LENGTH), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SMALL)
def test_a_token_changes_no_logits_before_it(name):
    module, tokens = network(name), sequences(2)
    logits = module(tokens)
    for place in range(LENGTH):
        other = tokens.clone()
        other[:, place] = (other[:, place] + 1) % CLASSES
        changed = (module(other) != logits).any(dim=1).all(dim=0)
        assert changed.tolist() == [later >= place for later in range(LENGTH)]


@pytest.mark.parametrize("name", SMALL)
def test_stacked_models_compute_what_each_computes(name):
    models, tokens = [network(name, seed) for seed in range(3)], sequences(3, 4)

    def loss(parameters, tokens):
        logits = functional_call(models[0], parameters, (tokens[:, :-1],))
        return cross_entropy(logits, tokens[:, 1:])

    parameters, buffers = stack_module_state(models)
    assert buffers == {}
    losses = vmap(loss)(parameters, tokens)
    losses.sum().backward()
    for number, module in enumerate(models):
        alone = loss(dict(module.named_parameters()), tokens[number])
        torch.testing.assert_close(losses[number], alone)
        gradients = torch.autograd.grad(alone, list(module.parameters()))
        for (place, stacked), gradient in zip(parameters.items(), gradients, strict=True):
            torch.testing.assert_close(stacked.grad[number], gradient, rtol=1e-4, atol=1e-6, msg=place)
