"""Losses of a user's own: by sample, by prediction, or as the mean of a batch."""

import math

import pytest
import torch
from torch import nn

from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import evaluate, evaluate_groups
from fedscape.evaluation.loss import MEASURES, cross_entropies, measures, part_of_mean
from fedscape.evaluation.prepared import PreparedSet


def squares(outputs, targets):
    return (outputs - targets).square()


def numbers(loss) -> tuple[nn.Module, dict, PreparedSet]:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    data = PreparedSet(torch.randn(23, 3), torch.randn(23, 2), batch_size=5, loss=loss)
    return network, dict(network.named_parameters()), data


def test_a_mean_of_batches_is_the_mean_over_samples_without_a_standard_error():
    network, parameters, data = numbers(squares)
    by_sample = evaluate(network, parameters, {}, data)
    mean = evaluate(network, parameters, {}, numbers(nn.MSELoss())[2])
    losses = squares(network(data.inputs), data.labels).mean(dim=1)
    assert mean.loss == pytest.approx(losses.mean().item(), rel=1e-6)
    assert by_sample.loss == pytest.approx(mean.loss, rel=1e-6)
    assert by_sample.loss_se == pytest.approx((losses.std() / math.sqrt(23)).item(), rel=1e-5)
    assert math.isnan(mean.loss_se) and math.isnan(mean.error) and math.isnan(by_sample.error)


def test_groups_need_losses_of_samples():
    groups = torch.arange(23) % 2
    network, parameters, data = numbers(squares)
    _, even, odd = evaluate_groups(network, parameters, {}, data, groups, 2)
    losses = squares(network(data.inputs), data.labels).mean(dim=1)
    assert even.loss == pytest.approx(losses[::2].mean().item(), rel=1e-6)
    assert odd.loss == pytest.approx(losses[1::2].mean().item(), rel=1e-6)
    whole, *parts = evaluate_groups(network, parameters, {}, numbers(nn.MSELoss())[2], groups, 2)
    assert math.isfinite(whole.loss) and all(math.isnan(part.loss) for part in parts)


@pytest.mark.parametrize("loss", [squares, nn.MSELoss()])
def test_the_parts_of_batches_add_up_to_the_mean(loss):
    network, _, data = numbers(loss)
    parts = [part_of_mean(loss(network(x), y), len(y), 23) for x, y in data.batches()]
    expected = squares(network(data.inputs), data.labels).mean()
    torch.testing.assert_close(torch.stack(parts).sum(), expected)


def test_a_sample_with_an_undefined_loss_is_wrong_and_one_of_pixels_has_their_mean():
    outputs = torch.tensor([[9.0, 0.0], [torch.nan, 0.0]])
    values = measures(outputs, torch.tensor([0, 1]), cross_entropies)
    assert values.shape == (MEASURES, 2) and values[2].tolist() == [0, 1] and values[0, 1].isnan()
    pixels = torch.tensor([[[9.0, 9.0], [0.0, 0.0]]])  # one sample, two classes, two pixels
    values = measures(pixels, torch.tensor([[0, 1]]), cross_entropies)
    assert values[2].tolist() == [0.5]
    assert values[0].item() == pytest.approx(4.5 + math.log1p(math.exp(-9)), rel=1e-6)


def test_a_loss_of_another_shape_is_refused():
    with pytest.raises(FedscapeError, match=r"loss: gave \[1\] for a batch of 2 samples; allowed are"):
        measures(torch.zeros(2, 2), torch.zeros(2), lambda *_: torch.zeros(1))
    with pytest.raises(FedscapeError, match="loss: gave float for a batch"):
        measures(torch.zeros(2, 2), torch.zeros(2), lambda *_: 1.0)
