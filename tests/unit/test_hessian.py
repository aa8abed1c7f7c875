"""Hessian products and eigenvalues against torch.func.hessian, dense eigenvalues and a known quadratic."""

import warnings

import bowl
import numpy as np
import pytest
import torch
from scipy.sparse.linalg import ArpackNoConvergence
from torch import nn
from torch.func import functional_call, hessian
from torch.nn.functional import cross_entropy

from fedscape.curvature.hessian import chosen_rounds, evaluate_hessians
from fedscape.files import read_csv
from fedscape.models import hessian as products
from fedscape.models.evaluate import EvaluationSet, normalise
from fedscape.models.hessian import HessianProduct, top_eigenpairs
from fedscape.models.layout import buffers_of, flatten, layout_of, parameters_of


@pytest.fixture(scope="module")
def tiny():
    """A smooth net with a convolution and running statistics, and 25 samples in batches of 10."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 3)
    )
    network(torch.randn(9, 1, 4, 4))
    layout = layout_of(network)
    data = EvaluationSet(
        inputs=torch.randint(0, 256, (25, 1, 4, 4), dtype=torch.uint8),
        labels=torch.randint(0, 3, (25,)),
        mean=torch.tensor([0.5]),
        std=torch.tensor([0.25]),
        batch_size=10,
    )
    vector, floats, counters = flatten(network.state_dict(), layout)
    buffers = buffers_of(floats.double(), counters, layout)
    images = normalise(data.inputs, data.mean, data.std).double()

    def loss(theta):
        network.eval()
        logits = functional_call(network, {**parameters_of(theta, layout), **buffers}, (images,))
        return cross_entropy(logits, data.labels)

    with warnings.catch_warnings():
        # Forward mode loads PyTorch's own scripted decompositions, which warn that scripting is deprecated.
        warnings.simplefilter("ignore", FutureWarning)
        dense = hessian(loss)(vector.double())
    return network, layout, vector.double(), buffers, data, dense


@pytest.mark.parametrize("graph_samples", [25, 24])
def test_products_are_those_of_the_dense_hessian(tiny, graph_samples):
    """Whether the graph is kept (25 samples fit) or streamed, in float64 to rounding."""
    *arguments, dense = tiny
    product = HessianProduct(*arguments, graph_samples=graph_samples)
    columns = torch.stack([product(row) for row in torch.eye(len(dense), dtype=torch.float64)])
    torch.testing.assert_close(columns, dense, rtol=1e-12, atol=1e-13)
    assert product.count == len(dense)


def test_float32_models_have_nearly_the_same_products(tiny):
    network, layout, vector, buffers, data, dense = tiny
    single = {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in buffers.items()
    }
    product = HessianProduct(network, layout, vector.float(), single, data)
    direction = torch.from_numpy(np.random.default_rng(0).standard_normal(len(dense)))
    torch.testing.assert_close(product(direction), dense @ direction, rtol=1e-4, atol=1e-5)


def test_eigenpairs_are_those_of_the_dense_hessian(tiny):
    *arguments, dense = tiny
    product = HessianProduct(*arguments)
    pairs = top_eigenpairs(product, len(dense), 3, seed=0, device="cpu")
    oracle = np.linalg.eigvalsh(dense.numpy())[::-1]
    np.testing.assert_allclose(pairs.values, oracle[:3], rtol=1e-5)
    assert (pairs.residuals < 1e-2).all()
    for value, vector, residual in zip(pairs.values, pairs.vectors, pairs.residuals, strict=True):
        gap = dense.numpy() @ vector - value * vector
        assert residual == pytest.approx(np.linalg.norm(gap) / abs(value), abs=1e-10)
    again = top_eigenpairs(HessianProduct(*arguments), len(dense), 3, seed=0, device="cpu")
    np.testing.assert_array_equal(again.values, pairs.values)


def test_the_largest_is_not_the_largest_magnitude():
    values = np.linspace(-5, 1, 60)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((60, 60)))[0]
    matrix = torch.from_numpy(rotation @ np.diag(values) @ rotation.T)
    pairs = top_eigenpairs(lambda vector: matrix @ vector, 60, 2, seed=0, device="cpu")
    np.testing.assert_allclose(pairs.values, [1, values[-2]], rtol=1e-4)


@pytest.mark.parametrize("top", [1, 2, 3])
def test_nearly_all_eigenvalues_of_a_small_operator(top):
    matrix = torch.diag(torch.tensor([1.0, 4.0, 2.0, 3.0], dtype=torch.float64))
    pairs = top_eigenpairs(lambda vector: matrix @ vector, 4, top, seed=0, device="cpu")
    np.testing.assert_allclose(pairs.values, [4, 3, 2][:top], rtol=1e-8)
    with pytest.raises(ValueError, match="top must be between 1 and 3"):
        top_eigenpairs(lambda vector: matrix @ vector, 4, 4, seed=0, device="cpu")


def evaluate(tmp_path, runs, **changes):
    arguments = bowl.world(tmp_path, runs) | {"rounds": ["last"], "top": 2, "curvature": "h", "group": "g"}
    evaluate_hessians(**(arguments | changes), out=tmp_path / "hessian.csv")
    return read_csv(tmp_path / "hessian.csv")


def test_eigenvalues_of_a_quadratic_are_the_same_everywhere(tmp_path):
    runs = [0.3 * np.random.default_rng(seed).standard_normal((4, bowl.SIZE)) for seed in range(2)]
    found = evaluate(tmp_path, runs, rounds=[0, "last"], top=3)
    measures = ["curvature", "group", "round", "index", "eigenvalue", "residual", "products", "samples"]
    assert list(found) == [*bowl.identity(), *measures]
    assert len(found) == 2 * 2 * 3 and found["round"].unique().tolist() == [0, 3]
    for _, pairs in found.groupby(["partition", "round"]):
        np.testing.assert_allclose(pairs["eigenvalue"], bowl.EIGENVALUES[:3], rtol=1e-4)
        assert pairs["index"].tolist() == [1, 2, 3]
    assert (found["residual"] < 1e-3).all() and (found["samples"] == 40).all()


def test_a_model_without_eigenvalues_does_not_take_the_others_along(tmp_path, monkeypatch, caplog):
    eigsh, calls = products.eigsh, []

    def fail_once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise ArpackNoConvergence("no convergence", np.empty(0), np.empty((0, 0)))
        return eigsh(*args, **kwargs)

    monkeypatch.setattr(products, "eigsh", fail_once)
    found = evaluate(tmp_path, [np.zeros((2, bowl.SIZE))] * 2)
    assert found["eigenvalue"].isna().tolist() == [True, True, False, False]
    assert "trajectory.safetensors: round 1: no eigenvalues found" in caplog.text


def test_rounds_by_number_share_and_name():
    kept = [0, 5, 10, 15, 20]
    assert chosen_rounds(kept, [0, "last"]) == [0, 20]
    assert chosen_rounds(kept, [0.3, 0.5, 1.0]) == [5, 10, 20]
    assert chosen_rounds(kept, ["last", 20, 5]) == [5, 20]
    assert chosen_rounds(kept, [10, 25]) == [10], "a run that ended early has no round 25"
