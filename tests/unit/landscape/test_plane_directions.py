"""Planes around one model: filter-normalised random directions and eigenvectors of the Hessian."""

from types import SimpleNamespace

import bowl
import normed
import numpy as np
import pytest
import torch
from scipy.sparse.linalg import ArpackNoConvergence
from test_plane_kinds import bowls, opened
from test_planes import plane_of, subspace_gap
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.checkpoint import Checkpoints
from fedscape.checkpoints.layout import layout_of, parameters_of
from fedscape.checkpoints.run_files import RunFiles
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import normalise
from fedscape.landscape.material import Material
from fedscape.landscape.planes import eigenvectors, random


def around(tmp_path, network, seed=0, **settings):
    """The random plane around a network's own weights, and the loss at points of it."""
    path = tmp_path / "trajectory.safetensors"
    vector = nn.utils.parameters_to_vector(network.parameters()).detach().numpy()
    bowl.write_models(path, network, vector[None])
    problem = SimpleNamespace(layout=layout_of(network))
    material = Material(problem, Checkpoints.open(network, [RunFiles({}, path)]), seed)
    plane = random.plane(material, random.Settings(**settings))
    draw = torch.Generator().manual_seed(0)
    images, labels = torch.randn(30, 2, 4, 4, generator=draw), torch.arange(30) % 3
    network.eval()

    def loss(x, y):
        tensors = {**parameters_of(plane.at(x, y), plane.layout), **plane.buffers}
        return cross_entropy(functional_call(network, tensors, (images,)), labels).item()

    return plane, np.array([loss(x, y) for x, y in ((0, 0), (0.5, 0), (-0.2, 0.7), (1, -1))])


def network():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4, eps=0.0),
        nn.ReLU(),
        nn.Conv2d(4, 4, 2, groups=4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    for statistic in (layers[1].running_mean, layers[1].running_var):
        statistic.uniform_(0.5, 1.5)
    return layers


def test_random_directions_have_the_weights_lengths_filter_by_filter(tmp_path):
    plane, _ = around(tmp_path, network())
    weights = parameters_of(plane.centre, plane.layout)
    for direction in plane.directions:
        for name, drawn in parameters_of(direction, plane.layout).items():
            if weights[name].ndim == 1:
                assert (drawn == 0).all(), "biases and norm layers"
            else:
                lengths = [one.flatten(1).norm(dim=1) for one in (drawn, weights[name])]
                torch.testing.assert_close(*lengths, rtol=1e-5, atol=0)
    one, other = plane.directions
    assert abs(torch.cosine_similarity(one, other, dim=0)) < 0.5, "two draws, not one"
    again, _ = around(tmp_path, network())
    assert torch.equal(again.directions, plane.directions)
    another, _ = around(tmp_path, network(), seed=1)
    assert not torch.equal(another.directions, plane.directions)
    moving, _ = around(tmp_path, network(), ignore="none")
    moved = parameters_of(moving.directions[1], moving.layout)
    torch.testing.assert_close(moved["6.bias"], weights["6.bias"])
    assert torch.equal(moved["6.weight"], parameters_of(other, plane.layout)["6.weight"])
    assert plane.box == (-1, 1, -1, 1) and (plane.buffer_directions == 0).all()


def test_rescaled_filters_that_are_undone_leave_the_surface_unchanged(tmp_path):
    original, changed = network(), network()
    first, second = torch.tensor([0.01, 30.0, 1.0, 5.0]), torch.tensor([7.0, 0.2, 3.0, 0.5])
    with torch.no_grad():
        # Each filter by a factor of its own, undone by batch norm's statistics.
        changed[0].weight *= first[:, None, None, None]
        changed[0].bias *= first
        changed[1].running_mean *= first
        changed[1].running_var *= first**2
        # Each output of batch norm by a factor of its own, undone by the one filter that reads it.
        changed[1].weight *= second
        changed[1].bias *= second
        changed[3].weight /= second[:, None, None, None]
        # A whole layer by one factor, undone by the layer after it.
        changed[3].weight *= 2
        changed[3].bias *= 2
        changed[6].weight /= 2
    plane, losses = around(tmp_path, original)
    other, same = around(tmp_path, changed)
    assert not torch.allclose(plane.centre, other.centre)
    np.testing.assert_allclose(same, losses, rtol=1e-4)
    assert np.ptp(losses) > 0.01


def test_eigenvectors_of_a_quadratic(tmp_path):
    plane, markers, _ = bowls(tmp_path, "eigenvectors")
    np.testing.assert_allclose(plane.curvature, bowl.EIGENVALUES[:2], rtol=1e-4)
    np.testing.assert_allclose(markers.loc[0, ["curvature_x", "curvature_y"]].tolist(), plane.curvature)
    assert subspace_gap(plane.directions.double().numpy(), bowl.ROTATION[:, :2].T) < 1e-3
    overlaps = np.sum(plane.directions.numpy() * bowl.ROTATION[:, :2].T, axis=1)
    np.testing.assert_allclose(np.abs(overlaps), 1, atol=1e-5)
    assert len(markers) == 1 and markers.loc[0, "round"] == 1 and markers.loc[0, "distance_to_reference"] == 0


def test_the_eigenvalues_are_the_surfaces_curvature_at_the_centre(tmp_path):
    """Second differences of the loss in float64; the mixed one is zero."""
    given = normed.world(tmp_path, 1)
    plane, markers = plane_of(tmp_path, given, "eigenvectors", {"round": 2})
    assert markers["round"].tolist() == [2]
    problem = opened(given).problem
    images = normalise(problem.train.inputs, problem.train.mean, problem.train.std).double()
    buffers = {name: one.double() if one.is_floating_point() else one for name, one in plane.buffers.items()}
    centre, directions = plane.centre.double(), plane.directions.double()

    def loss(x, y):
        tensors = parameters_of(centre + x * directions[0] + y * directions[1], plane.layout) | buffers
        problem.module.eval()
        return cross_entropy(functional_call(problem.module, tensors, (images,)), problem.train.labels)

    h = 1e-3
    along_x = (loss(h, 0) - 2 * loss(0, 0) + loss(-h, 0)) / h**2
    along_y = (loss(0, h) - 2 * loss(0, 0) + loss(0, -h)) / h**2
    mixed = (loss(h, h) - loss(h, -h) - loss(-h, h) + loss(-h, -h)) / (4 * h**2)
    assert (along_x.item(), along_y.item()) == pytest.approx(plane.curvature, rel=1e-3)
    assert abs(mixed.item()) < 1e-3 * plane.curvature[0] and plane.curvature[0] > plane.curvature[1] > 0
    np.testing.assert_allclose(torch.linalg.vector_norm(plane.directions, dim=1), 1, rtol=1e-6)


def test_a_model_without_eigenvectors_is_named(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise ArpackNoConvergence("no convergence", np.empty(0), np.empty((0, 0)))

    monkeypatch.setattr(eigenvectors, "top_eigenpairs", fail)
    with pytest.raises(FedscapeError, match=r"run0.trajectory\.safetensors: round 1: no eigenvectors found"):
        bowls(tmp_path, "eigenvectors")


def test_impossible_radii_are_refused():
    for kind in (random, eigenvectors):
        for radius in (0.0, -1.0, np.inf, np.nan):
            with pytest.raises(ValueError, match="radius"):
                kind.Settings(radius=radius)
