"""Landscapes in a notebook, against closed forms and hand-written loops."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from fedscape.checkpoints.layout import flatten, layout_of
from fedscape.columns.planes import MARKERS_CSV, SURFACE_CSV
from fedscape.errors import FedscapeError
from fedscape.notebook import Plugin, SurfaceSettings, landscape

SMALL = SurfaceSettings(grid=(5, 4))


def states(network: nn.Module, count: int) -> list[dict[str, torch.Tensor]]:
    """State_dicts of models at random distances from each other; variances stay positive."""
    return [
        {
            name: tensor + 0.3 * torch.randn(tensor.shape).abs() if tensor.is_floating_point() else tensor
            for name, tensor in network.state_dict().items()
        }
        for _ in range(count)
    ]


def vector(network: nn.Module, state: dict[str, torch.Tensor]) -> np.ndarray:
    return flatten(state, layout_of(network))[0].double().numpy()


def classifier() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


def classes(samples: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(samples, 4), torch.randint(0, 3, (samples,))


def squares(outputs, targets):
    return (outputs - targets).square()


@pytest.mark.parametrize("means", [False, True])
def test_the_quadratic_loss_of_a_linear_network_is_a_paraboloid_that_is_known_exactly(means):
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    inputs, targets = torch.randn(700, 3), torch.randn(700, 2)
    models = states(network, 4)
    loss = nn.MSELoss() if means else squares
    result = landscape(network, models, (inputs, targets), loss=loss, surface=SMALL)

    extended = torch.cat([inputs, torch.ones(700, 1)], dim=1).double().numpy()

    def closed_form(weights: np.ndarray) -> float:
        matrix = np.concatenate([weights[:6].reshape(2, 3), weights[6:, None]], axis=1)
        return np.square(extended @ matrix.T - targets.double().numpy()).mean()

    plane = result.plane
    directions = plane.directions.double().numpy()
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-6)
    for _, row in result.surface.iterrows():
        point = plane.centre.double().numpy() + np.array([row["x"], row["y"]]) @ directions
        assert row["loss"] == pytest.approx(closed_form(point), rel=1e-5)
    for state, (_, row) in zip(models, result.markers.iterrows(), strict=True):
        offset = vector(network, state) - plane.centre.double().numpy()
        x, y = directions @ offset
        assert (row["x"], row["y"]) == pytest.approx((x, y), abs=1e-5)
        off = np.linalg.norm(offset - np.array([x, y]) @ directions)
        assert row["residual"] == pytest.approx(off / (np.linalg.norm(offset) or 1), abs=1e-5)
        assert row["loss"] == pytest.approx(closed_form(vector(network, state)), rel=1e-5)
    assert result.surface["error"].isna().all() and result.markers["error"].isna().all()
    assert result.surface["loss_se"].isna().all() == means
    assert list(result.surface) == SURFACE_CSV.columns and list(result.markers) == MARKERS_CSV.columns
    assert len(result.surface) == 20
    assert result._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("policy", ["keep", "interpolate", "recalibrate"])
def test_classification_with_batch_norm_against_a_loop_of_ones_own(policy):
    network, (inputs, labels) = classifier(), classes()
    models = states(network, 3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    settings = SurfaceSettings(grid=(3, 3), batch_norm=policy)
    result = landscape(network, models, (inputs, labels), "three-models", surface=settings)
    plane, layout = result.plane, layout_of(network)

    def loop(weights: torch.Tensor, buffers: dict[str, torch.Tensor]) -> tuple[float, float]:
        copy = classifier()
        named = dict(zip([name for name, _ in layout.parameters], weights.split(sizes), strict=True))
        shaped = {name: named[name].view(shape) for name, shape in layout.parameters}
        copy.load_state_dict({**shaped, **buffers})
        if policy == "recalibrate":
            norm = copy.get_submodule("1")
            vars(norm)["momentum"] = 1.0
            with torch.no_grad():
                copy.train()(inputs)
        with torch.no_grad():
            outputs = copy.eval()(inputs)
        return cross_entropy(outputs, labels).item(), (outputs.argmax(1) != labels).float().mean().item()

    sizes = [int(np.prod(shape)) for _, shape in layout.parameters]
    for _, row in result.surface.iterrows():
        buffers = plane.buffers_at(row["x"], row["y"], policy)
        expected = loop(plane.at(row["x"], row["y"]), buffers)
        assert (row["loss"], row["error"]) == pytest.approx(expected, abs=2e-5)
    # The three models span the plane: with their own statistics their loss is the true one.
    for state, (_, row) in zip(models, result.markers.iterrows(), strict=True):
        outputs = classifier()
        outputs.load_state_dict(state)
        with torch.no_grad():
            assert row["loss"] == pytest.approx(
                cross_entropy(outputs.eval()(inputs), labels).item(), rel=1e-5
            )
    if policy == "interpolate":
        np.testing.assert_allclose(result.markers["loss_at_projection"], result.markers["loss"], rtol=1e-4)
    assert set(result.markers["batch_norm"]) == {policy}
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert network.training


def test_segmentation_with_a_label_for_each_pixel():
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 3, padding=1)
    images, labels = torch.randn(30, 3, 6, 5), torch.randint(0, 4, (30, 6, 5))
    models = states(network, 3)
    result = landscape(network, models, (images, labels), surface=SMALL)
    for state, (_, row) in zip(models, result.markers.iterrows(), strict=True):
        network.load_state_dict(state)
        with torch.no_grad():
            outputs = network(images)
        losses = cross_entropy(outputs, labels, reduction="none").mean(dim=(1, 2))
        wrong = (outputs.argmax(dim=1) != labels).float().mean().item()
        assert row["loss"] == pytest.approx(losses.mean().item(), rel=1e-5)
        assert row["error"] == pytest.approx(wrong, rel=1e-5)
    errors = result.surface["loss_se"].to_numpy(float)
    assert np.isfinite(errors).all() and (errors > 0).all()


def test_paths_and_datasets_and_loaders_give_the_same_as_tensors(tmp_path):
    network, data = classifier(), classes()
    models = states(network, 2)
    save_file(models[0], tmp_path / "a.safetensors")
    torch.save(models[1], tmp_path / "b.pt")
    expected = landscape(network, models, data, surface=SMALL)
    paths = [tmp_path / "a.safetensors", str(tmp_path / "b.pt")]
    for source in (TensorDataset(*data), DataLoader(TensorDataset(*data), batch_size=7)):
        result = landscape(network, {"models": paths}, source, surface=SMALL)
        assert result.surface.equals(expected.surface) and result.markers.equals(expected.markers)


def test_a_kind_around_one_model_takes_its_state_dict_and_settings():
    network, data = classifier(), classes()
    (model,) = states(network, 1)
    result = landscape(network, model, data, Plugin("random", {"radius": 0.5}), surface=SMALL, seed=3)
    assert result.surface["x"].agg(["min", "max"]).tolist() == [-0.5, 0.5]
    assert result.markers[["x", "y", "residual"]].to_numpy().tolist() == [[0, 0, 0]]
    labels = [text.get_text() for text in result.figure().legends[0].get_texts()]
    assert "models" in labels


def test_the_clients_of_a_round_with_their_own_losses():
    network, (inputs, labels) = classifier(), classes()
    start, first, second = states(network, 3)
    average = {
        name: (first[name] + second[name]) / 2 if tensor.is_floating_point() else tensor
        for name, tensor in start.items()
    }
    owners = torch.arange(60) % 2
    settings = SurfaceSettings(grid=(4, 4), client_losses=True)
    result = landscape(
        network, [start, average], (inputs, labels), "clients", surface=settings, clients=[first, second],
        owners=owners,
    )  # fmt: skip
    own = result.markers[result.markers["role"] == "client"]
    for state, (_, row) in zip((first, second), own.iterrows(), strict=True):
        network.load_state_dict(state)
        rows = owners == row["client"]
        with torch.no_grad():
            expected = cross_entropy(network.eval()(inputs[rows]), labels[rows]).item()
        assert row["own_loss"] == pytest.approx(expected, rel=1e-5)
    assert set(result.surface["client"].dropna()) == {0, 1}
    result.figure()
    without = landscape(
        network, [start, average], (inputs, labels), "clients", surface=SMALL, clients=[first, second]
    )
    assert without.markers["own_loss"].isna().all()
    np.testing.assert_allclose(without.markers["loss"], result.markers["loss"], rtol=1e-6)


def test_what_cannot_be_drawn_is_refused_in_one_line():
    network, data = classifier(), classes()
    models = states(network, 2)
    less = {name: tensor for name, tensor in models[0].items() if name != "3.bias"}
    nan = {**models[0], "3.bias": torch.full((3,), torch.nan)}
    for call, words in {
        lambda: landscape(network, [models[0], less], data): r"models\[1\]: lacks 3.bias",
        lambda: landscape(network, {"mine": [nan]}, data): r"mine\[0\]: 3.bias is NaN or infinite",
        lambda: landscape(network, models, data, "pca"): "kind: unknown plane 'pca'; allowed: clients, ",
        lambda: landscape(network, models, data, "three-models"): "models: 2 for kind three-models",
        lambda: landscape(network, models, data, Plugin("random", {"radius": 0})): "radius: got 0",
        lambda: landscape(network, models, data, "clients"): "clients: needed for kind clients",
        lambda: landscape(network, models, data, clients=models): "clients: given, but not used by",
        lambda: landscape(network, [], data): "models: no models",
        lambda: landscape(network, models, (data[0], data[1][:9])): "data: 60 inputs, but 9 labels",
        lambda: landscape(network, models, data, loss=lambda *_: torch.ones(2)): r"loss: gave \[2\]",
        lambda: landscape(network, models, data, owners=torch.zeros(3)): "owners: torch.float32",
        lambda: landscape(network, 3, data): "models.0.: got int; allowed are state_dicts and paths of files",
        lambda: landscape(network, network, data): "models.0.: got Sequential; allowed are",
        lambda: landscape(network, [network], data): "models.0.: got Sequential; allowed are",
        lambda: landscape(network, {"a": {"w": 1.0}}, data): "a.0.: got dict; allowed are",
        lambda: landscape(nn.Flatten(), [{}], data): "network: Flatten has no parameters",
    }.items():
        with pytest.raises(FedscapeError, match=words) as refused:
            call()
        assert "\n" not in str(refused.value)
