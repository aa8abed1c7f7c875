"""Pruning: the schedule's closed form, and masks against torch's own and by hand."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from fedscape.checkpoints.layout import Layout, flatten, layout_of, parameters_of
from fedscape.federated.pruning import due, last_due, mask, sparsity
from fedscape.settings.training import Pruning

NOTE = Pruning(initial_sparsity=0.3, final_sparsity=0.8, begin=1000, end=5000, unit="step")


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5), nn.Linear(5, 1)
        )


def vector_of(values: list[float]) -> tuple[torch.Tensor, Layout]:
    """One kernel of these weights."""
    return torch.tensor(values), Layout((("weight", (1, len(values))),), (), ())


@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        (0, 0.3),
        (1000, 0.3),
        (2000, 0.8 - 0.5 * 27 / 64),
        (3000, 0.8 - 0.5 / 8),
        (4000, 0.8 - 0.5 / 64),
        (5000, 0.8),
        (9000, 0.8),
    ],
)
def test_sparsity_decays_with_the_third_power(time, wanted):
    assert sparsity(NOTE, time) == pytest.approx(wanted, rel=1e-12)


def test_masks_are_due_from_begin_to_end_at_the_frequency():
    times = [time for time in range(6001) if due(NOTE, time)]
    assert times == list(range(1000, 5001, 100))


def test_the_last_time_is_not_past_the_end_where_the_frequency_does_not_divide():
    settings = Pruning(begin=2, end=10, frequency=3, unit="round")
    assert [time for time in range(20) if due(settings, time)] == [2, 5, 8]
    assert [last_due(settings, time) for time in (1, 2, 4, 5, 7, 8, 10, 11, 19)] == [
        None, 2, 2, 5, 5, 8, 8, 8, 8,
    ]  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 0.8])
def test_kernels_are_masked_as_torch_prunes_them(share):
    module = network()
    layout = layout_of(module)
    vector = flatten(module.state_dict(), layout)[0]
    found = parameters_of(mask(vector, layout, share), layout)
    for name, parameter in list(module.named_parameters()):  # pruning renames some
        if parameter.ndim < 2:
            assert found[name].all()
            continue
        zeros = parameter.numel() - max(1, round(parameter.numel() * (1 - share)))
        layer = module.get_submodule(name.rpartition(".")[0])
        prune.l1_unstructured(layer, "weight", amount=zeros)
        assert torch.equal(found[name], layer.weight_mask.bool())
        assert (~found[name]).sum() == zeros


def test_stacked_models_are_masked_one_by_one():
    layout = layout_of(network())
    drawn = torch.randn(3, layout.parameter_count, generator=torch.Generator().manual_seed(0))
    found = mask(drawn, layout, 0.6)
    assert found.dtype == torch.bool
    assert torch.equal(found, torch.stack([mask(vector, layout, 0.6) for vector in drawn]))
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize(
    ("values", "share", "kept"),
    [
        ([0.1, -0.4, 0.3, 0.2], 0.5, [False, True, True, False]),
        ([0.1, -0.4, 0.3, 0.2], 1.0, [False, True, False, False]),  # one always stays
        ([0.2, -0.2, 0.2, 0.1], 0.75, [True, True, True, False]),  # ties stay
        ([0.0, 0.0, 0.0, 0.1], 0.5, [True, True, True, True]),
    ],
)
def test_masks_by_hand(values, share, kept):
    assert mask(*vector_of(values), share).tolist() == kept


def test_a_pruned_kernel_stays_so_when_it_is_masked_again():
    weights, layout = vector_of(torch.randn(50, generator=torch.Generator().manual_seed(0)).tolist())
    stays = mask(weights, layout, 0.8)
    assert torch.equal(mask(weights * stays, layout, 0.8), stays)
    denser, sparser = mask(weights, layout, 0.3), mask(weights, layout, 0.8)
    assert (sparser <= denser).all()
