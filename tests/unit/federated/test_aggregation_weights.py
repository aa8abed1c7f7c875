"""Weights of clients against numpy, torch.cov and the closed form of the best mean of noisy numbers."""

import math

import numpy as np
import pytest
import torch

from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import EvaluationSet, normalise
from fedscape.federated import aggregation_weights
from fedscape.federated.aggregation_weights import input_variances, update_variance, weight

SHAPE = (3, 4, 5)
CLIENTS = [np.arange(7), np.arange(30, 10, -1), np.array([40, 8])]


def image_set(samples: int = 50) -> EvaluationSet:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (samples, *SHAPE), dtype=np.uint8)
    images[30:] //= 8  # paler images: less variance
    return EvaluationSet(
        torch.from_numpy(images),
        torch.zeros(samples, dtype=torch.int64),
        mean=torch.tensor([0.4, 0.5, 0.6]),
        std=torch.tensor([0.1, 0.2, 0.3]),
    )


@pytest.mark.parametrize("images_at_once", [3, 1000])
def test_input_variance_is_numpys_of_the_normalised_images(images_at_once, monkeypatch):
    monkeypatch.setattr(aggregation_weights, "PIXELS_AT_ONCE", images_at_once * SHAPE[1] * SHAPE[2])
    data = image_set()
    normalised = normalise(data.inputs.double(), data.mean.double(), data.std.double()).numpy()
    wanted = [normalised[positions].var(axis=0, ddof=1).mean() for positions in CLIENTS]
    np.testing.assert_allclose(input_variances(data, CLIENTS), wanted, rtol=1e-12)


def test_input_variance_where_clients_are_normalised_by_themselves():
    data = image_set()
    pixels = data.inputs.double().numpy() / 255
    deviations = np.stack([pixels[positions].std(axis=(0, 2, 3)) for positions in CLIENTS])
    wanted = [
        (pixels[positions] / deviation[:, None, None]).var(axis=0, ddof=1).mean()
        for positions, deviation in zip(CLIENTS, deviations, strict=True)
    ]
    found = input_variances(data, CLIENTS, torch.from_numpy(deviations))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_input_variance_by_hand():
    """Two samples, black and white: 1/2 of the squared distance, 1 / 0.5 deviations."""
    images = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    data = EvaluationSet(
        images, torch.zeros(2, dtype=torch.int64), mean=torch.tensor([0.1]), std=torch.tensor([0.5])
    )
    assert input_variances(data, [np.array([0, 1]), np.array([1, 1])]).tolist() == [2.0, 0.0]


def test_input_variance_of_one_sample_is_refused():
    with pytest.raises(FedscapeError, match="client 1 has 1 sample, at least 2 needed"):
        input_variances(image_set(), [np.arange(3), np.array([5])])


@pytest.mark.parametrize("steps", [2, 9])
def test_update_variance_is_the_trace_of_the_covariance(steps):
    gradients = 3 + torch.randn(steps, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = update_variance(gradients.square().sum().item(), gradients.sum(dim=0), steps)
    assert found == pytest.approx(torch.cov(gradients.T).trace().item(), rel=1e-12)


def test_update_variance_of_equal_gradients_is_zero():
    gradient = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    squares = 3 * gradient.double().square().sum().item() * (1 - 1e-12)  # as if rounded down
    assert update_variance(squares, 3 * gradient.double(), 3) == 0.0


@pytest.mark.parametrize("steps", [0, 1])
def test_update_variance_of_one_step_is_refused(steps):
    with pytest.raises(FedscapeError, match=f"made {steps} step in a round, at least 2 needed"):
        update_variance(1.0, torch.ones(3), steps)


def test_weights_by_size_and_alike():
    assert [weight("size", samples) for samples in (1, 30)] == [1.0, 30.0]
    assert [weight("uniform", samples) for samples in (1, 30)] == [1.0, 1.0]


@pytest.mark.parametrize("kind", [aggregation_weights.INPUT_VARIANCE, aggregation_weights.UPDATE_VARIANCE])
def test_inverse_variance_weights_give_the_mean_of_least_variance(kind):
    """The variance of a weighted mean of independent numbers, sum p_k² s_k², is 1 / sum 1/s_k² at its least."""
    variances = np.array([0.5, 2.0, 8.0, 0.01])
    weights = np.array([weight(kind, 5, variance) for variance in variances])
    shares = weights / weights.sum()
    assert (shares**2 * variances).sum() == pytest.approx(1 / (1 / variances).sum(), rel=1e-12)


def test_a_client_without_variance_has_a_finite_weight_and_nan_is_passed_on():
    assert weight(aggregation_weights.UPDATE_VARIANCE, 5, 0.0) == pytest.approx(
        1 / aggregation_weights.VARIANCE_FLOOR
    )
    assert math.isnan(weight(aggregation_weights.UPDATE_VARIANCE, 5, math.nan))


def test_an_unknown_kind_is_refused():
    with pytest.raises(FedscapeError, match="unknown kind 'variance'; allowed: size, uniform, inverse-"):
        weight("variance", 5, 1.0)
