"""Barriers, curvature and drift in a notebook, against closed forms and full Hessians."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import flatten, layout_of, parameters_of
from fedscape.columns.connectivity import BARRIERS_CSV, DISTANCES_CSV, LAYERS_CSV, PATH_CSV
from fedscape.columns.curvature import CURVATURE_CSV
from fedscape.columns.drift import DRIFT_CSV
from fedscape.errors import FedscapeError
from fedscape.notebook import (
    CurvatureSettings,
    DensitySettings,
    LayersSettings,
    PathSettings,
    barriers,
    curvature,
    drift,
)

SHORT = PathSettings(points=5)


def states(network: nn.Module, count: int) -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(3)
    return [
        {name: tensor + 0.5 * torch.randn(tensor.shape) for name, tensor in network.state_dict().items()}
        for _ in range(count)
    ]


def two_layers(*ends: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5), *ends, nn.Linear(5, 3))


def classes(samples: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(samples, 4), torch.randint(0, 3, (samples,))


def squares(outputs, targets):
    return (outputs - targets).square()


def loss_of(network: nn.Module, state: dict[str, torch.Tensor], inputs, labels) -> float:
    with torch.no_grad():
        return cross_entropy(functional_call(network, state, (inputs,)), labels).item()


def test_the_line_through_a_quadratic_loss_has_no_barrier_but_the_parabola_that_is_known():
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    inputs, targets = torch.randn(50, 3), torch.randn(50, 2)
    first, second = states(network, 2)
    result = barriers(network, first, second, (inputs, targets), loss=squares, path=SHORT)
    difference = torch.cat(
        [(second["weight"] - first["weight"]), (second["bias"] - first["bias"])[:, None]], 1
    )
    extended = torch.cat([inputs, torch.ones(50, 1)], 1)
    bend = (extended @ difference.T).square().mean().item()  # half the second derivative
    losses, t = result.path["loss"].to_numpy(float), result.path["t"].to_numpy(float)
    chord = (1 - t) * losses[0] + t * losses[-1]
    np.testing.assert_allclose(losses - chord, -bend * t * (1 - t), atol=1e-5)
    row = result.barriers.set_index("measure").to_dict("index")["loss"]
    assert row["sup"] == 0 and row["midpoint"] == pytest.approx(-bend / 4, rel=1e-4)
    mean = result.layers[(result.layers["regime"] == "full") & (result.layers["measure"] == "loss")]
    assert mean["barrier"].tolist() == pytest.approx([-bend / 4], rel=1e-4)
    assert result.path["error"].isna().all()
    result.figure()


def test_barriers_against_models_that_are_mixed_by_hand():
    network, (inputs, labels) = two_layers(nn.ReLU()), classes()
    first, second = states(network, 2)
    held = classes(90)
    result = barriers(
        network, first, second, (inputs, labels), test=(held[0][40:], held[1][40:]), path=SHORT,
        layers=LayersSettings(regimes=["full", "single"], alignment=["none", "weights"]),
    )  # fmt: skip
    for _, row in result.path.iterrows():
        mixed = {name: (1 - row["t"]) * first[name] + row["t"] * second[name] for name in first}
        data = (inputs, labels) if row["split"] == "train" else (held[0][40:], held[1][40:])
        assert row["loss"] == pytest.approx(loss_of(network, mixed, *data), rel=1e-5)
    single = result.layers.query(
        "layer == '2' and rest == 'to' and measure == 'loss' and split == 'train' and alignment == 'none'"
    )
    mixed = {
        name: (first[name] + second[name]) / 2 if name.startswith("2.") else second[name] for name in first
    }
    ends = [loss_of(network, state, inputs, labels) for state in (first, second)]
    expected = loss_of(network, mixed, inputs, labels) - sum(ends) / 2
    assert single["barrier"].tolist() == pytest.approx([expected], abs=1e-5)
    distance = result.distances[result.distances["alignment"] == "none"].set_index("layer")["l2"]
    offset = (first["2.weight"] - second["2.weight"]).square().sum()
    offset += (first["2.bias"] - second["2.bias"]).square().sum()
    assert distance["2"] == pytest.approx(math.sqrt(offset), rel=1e-5)
    for table, columns in (
        (result.path, PATH_CSV), (result.barriers, BARRIERS_CSV), (result.layers, LAYERS_CSV),
        (result.distances, DISTANCES_CSV),
    ):  # fmt: skip
        assert list(table) == columns.columns and len(table)


def full_hessian(network: nn.Module, state, inputs, targets, loss) -> torch.Tensor:
    """The Hessian of the mean loss, float64 [P, P], by PyTorch's own function."""
    layout = layout_of(network)
    vector = flatten(state, layout)[0].double()

    def mean(point: torch.Tensor) -> torch.Tensor:
        return loss(functional_call(network, parameters_of(point, layout), (inputs.double(),)), targets)

    return torch.as_tensor(hessian(mean, vector))


@pytest.mark.parametrize(
    ("loss", "kind", "estimator"),
    [(None, "classes", "exact"), (nn.MSELoss(), "numbers", "hutch++"), (squares, "numbers", "hutch++")],
)
def test_curvature_against_the_full_hessian(loss, kind, estimator):
    network, (inputs, labels) = two_layers(nn.ReLU() if loss is None else nn.Tanh()), classes()
    targets = labels if kind == "classes" else torch.randn(40, 3)
    (state,) = states(network, 1)
    given = {} if loss is None else {"loss": loss}
    settings = CurvatureSettings(
        top=2, bottom=1, trace="auto", probes=3 * 43, density=DensitySettings(steps=8)
    )
    result = curvature(network, state, (inputs, targets), settings, **given)
    mean = cross_entropy if kind == "classes" else nn.MSELoss()
    expected = full_hessian(network, state, inputs, targets.double() if loss else targets, mean)
    values = torch.linalg.eigvalsh(expected)
    eigenvalues = result.quantities[result.quantities["quantity"] == "eigenvalue"].set_index("index")["value"]
    assert eigenvalues[1] == pytest.approx(values[-1].item(), rel=1e-3)
    assert eigenvalues[2] == pytest.approx(values[-2].item(), rel=1e-3)
    assert eigenvalues[-1] == pytest.approx(values[0].item(), rel=1e-3)
    trace = result.quantities[result.quantities["quantity"] == "trace"].iloc[0]
    assert trace["estimator"] == estimator
    # With a product for every dimension of the sketch, the estimate is exact.
    assert trace["value"] == pytest.approx(expected.trace().item(), rel=1e-3)
    assert list(result.quantities) == CURVATURE_CSV.columns
    assert len(result.density) and np.isfinite(result.density["density"].astype(float)).all()
    line, _ = result.figure().axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), result.density["density"])


def test_a_figure_of_a_density_that_was_not_measured_is_one_line():
    network, data = two_layers(nn.ReLU()), classes()
    with pytest.raises(FedscapeError, match="density: not measured; ask for it in settings"):
        curvature(network, states(network, 1)[0], data).figure()


def test_an_exact_trace_of_another_loss_is_refused_and_settings_of_studies_too():
    network, (inputs, _) = two_layers(nn.ReLU()), classes()
    data = inputs, torch.randn(40, 3)
    (state,) = states(network, 1)
    with pytest.raises(FedscapeError, match="an exact diagonal needs cross-entropy"):
        curvature(network, state, data, CurvatureSettings(trace="exact"), loss=squares)
    with pytest.raises(FedscapeError, match="settings: of, data and hessian_agreement"):
        curvature(network, state, data, CurvatureSettings(of=("clients",)), loss=squares)


def test_drift_is_distances_and_the_agreement_of_updates():
    network = nn.Linear(2, 1)
    vectors = [(0, 0, 0), (3, 4, 0), (3, 4, 12)]
    models = [
        {"weight": torch.tensor([[float(x), float(y)]]), "bias": torch.tensor([float(b)])}
        for x, y, b in vectors
    ]
    table = drift(
        network, models, {1: [models[1], {"weight": torch.tensor([[-4.0, 3.0]]), "bias": torch.zeros(1)}]}
    )
    assert table["step_norm"].tolist() == pytest.approx([math.nan, 5, 12], nan_ok=True)
    assert table["distance_start"].tolist() == pytest.approx([0, 5, 13])
    assert table["distance_end"].tolist() == pytest.approx([13, 12, 0])
    # Two updates of length 5 at right angles.
    first = table.iloc[1]
    assert first["mean_update_norm"] == pytest.approx(5)
    assert first["gradient_diversity"] == pytest.approx(1)
    assert first[["mean_cosine", "minimum_cosine"]].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert table["mean_cosine"].isna().tolist() == [True, False, True]
    assert list(drift(network, {"a": models, "b": models[:2]})) == DRIFT_CSV.columns
    with pytest.raises(FedscapeError, match="clients: 1 of round 0; needed are one or more"):
        drift(network, models, {0: models[:1]})


def test_the_rises_of_a_loss_that_is_a_mean_have_no_standard_errors():
    network = nn.Linear(4, 3)
    first, second = states(network, 2)
    data = classes()[0], torch.randn(40, 3)
    means = barriers(network, first, second, data, test=data, loss=nn.MSELoss(), path=SHORT).path
    losses = barriers(network, first, second, data, test=data, loss=squares, path=SHORT).path
    np.testing.assert_allclose(means["loss"], losses["loss"], rtol=1e-5)
    assert means["loss_rise_se"].isna().all()
    tested = losses[losses["split"] == "test"]["loss_rise_se"]
    assert (tested[1:-1] > 0).all()
