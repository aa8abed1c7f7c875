"""Hessian products, diagonals and eigenvalues of tiny networks against dense Hessians, closed forms, curvlinops."""

import copy
import warnings

import curved
import numpy as np
import pytest
import torch
from scipy.sparse.linalg import ArpackError
from torch import nn

import fedscape.curvature as library
from fedscape.checkpoints.layout import buffers_of, flatten, parameters_of
from fedscape.curvature import exact
from fedscape.curvature.exact import exact_diagonal
from fedscape.curvature.measure import layer_sizes
from fedscape.curvature.piecewise import why_not_piecewise_linear
from fedscape.errors import FedscapeError
from fedscape.evaluation import eigenvalues as hessian
from fedscape.evaluation.eigenvalues import HessianProduct, bottom_eigenpairs, state_of, top_eigenpairs


def directions(case, count=12):
    """Random vectors [count, P]."""
    draw = np.random.default_rng(0).standard_normal((count, len(case.parameters)))
    return torch.from_numpy(draw)


def products(case, vectors, **options):
    product = HessianProduct(*case.arguments, **options)
    return torch.stack([product(row) for row in vectors])


@pytest.mark.parametrize("build", (*curved.PIECEWISE, *curved.OTHERS), ids=lambda build: build.__name__)
def test_products_are_those_of_the_dense_hessian(build):
    case, vectors = curved.curved(build), directions(curved.curved(build))
    error = 1e-6 if build is curved.gpt else 1e-12  # of differences; of rounding
    torch.testing.assert_close(products(case, vectors), vectors @ case.dense, rtol=10 * error, atol=error)


@pytest.mark.parametrize("build", curved.PIECEWISE, ids=lambda build: build.__name__)
def test_the_exact_diagonal_and_its_layers_are_those_of_the_dense_hessian(build):
    case = curved.curved(build)
    diagonal = exact_diagonal(*case.arguments)
    torch.testing.assert_close(diagonal, case.dense.diagonal(), rtol=1e-12, atol=1e-14)
    assert (diagonal >= 0).all()
    # A layer is a module: weight and bias.
    sizes = layer_sizes(case.layout)
    modules = [name for name, one in case.module.named_modules() if list(one.parameters(recurse=False))]
    assert list(sizes) == modules and sum(sizes.values()) == len(diagonal)


def test_the_diagonal_needs_no_labels_and_no_room(monkeypatch):
    """It is the Gauss-Newton matrix's; passes of one sample, squared one by one, give the same."""
    case = curved.curved(curved.residual)
    expected = exact_diagonal(*case.arguments)
    other = copy.copy(case.data)
    object.__setattr__(other, "labels", (case.data.labels + 1) % curved.CLASSES)
    torch.testing.assert_close(exact_diagonal(*case.arguments[:-1], other), expected, rtol=0, atol=0)
    monkeypatch.setattr(exact, "PATCH_BYTES", 1)
    monkeypatch.setattr(exact, "GRADIENT_BYTES", 1)
    torch.testing.assert_close(exact_diagonal(*case.arguments), expected, rtol=1e-12, atol=1e-15)


def test_softmax_regression_has_the_closed_form():
    """H = 1/N sum_n (diag p - p p^T) kron (x x^T), for the weights of one linear layer."""
    case = curved.curved(lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 3, bias=False)))
    x = case.inputs.flatten(1)
    p = (x @ case.parameters.view(3, 16).T).softmax(dim=1)
    closed = sum(
        torch.kron(torch.diag(a) - torch.outer(a, a), torch.outer(b, b)) for a, b in zip(p, x, strict=True)
    )
    closed /= len(x)
    vectors = directions(case)
    torch.testing.assert_close(products(case, vectors), vectors @ closed, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(exact_diagonal(*case.arguments), closed.diagonal(), rtol=1e-12, atol=1e-14)
    values = np.linalg.eigvalsh(closed)
    product = HessianProduct(*case.arguments)
    assert top_eigenpairs(product, 48, 1, 0, "cpu").values == pytest.approx(values[-1:], rel=1e-5)


@pytest.mark.parametrize("build", (curved.batch_norm, curved.residual, curved.gelu), ids=lambda b: b.__name__)
def test_a_second_opinion_from_curvlinops(build):
    """Its Hessian and Gauss-Newton operators, on the same batches in eval mode."""
    with warnings.catch_warnings():
        # Importing and calling it uses parts of torch and linear_operator that are deprecated.
        warnings.simplefilter("ignore")
        from curvlinops import GGNLinearOperator, HessianLinearOperator

        case = curved.curved(build)
        network = copy.deepcopy(case.module).double().eval()
        network.load_state_dict({**parameters_of(case.parameters, case.layout), **case.buffers})
        batches = [(x, y) for x, y in zip(case.inputs.split(4), case.data.labels.split(4), strict=True)]
        given = network, nn.CrossEntropyLoss(), list(network.parameters()), batches
        vectors = directions(case)
        expected = HessianLinearOperator(*given, check_deterministic=False) @ vectors.T
        gauss_newton = GGNLinearOperator(*given, check_deterministic=False)
        gauss_newton = gauss_newton @ torch.eye(len(case.parameters), dtype=torch.float64)
    torch.testing.assert_close(products(case, vectors), expected.detach().T, rtol=1e-10, atol=1e-11)
    if build is not curved.gelu:
        diagonal = exact_diagonal(*case.arguments)
        torch.testing.assert_close(diagonal, gauss_newton.detach().diagonal(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_batches_whose_graph_does_not_fit_are_computed_again(kept, monkeypatch):
    case = curved.curved(curved.residual)
    all_of_them = HessianProduct(*case.arguments)
    assert len(all_of_them._kept) == 3, "of 4, 4 and 3 samples"
    much = 10**15
    one = much // all_of_them._batches_within(much) + 1  # bytes that the first batch's graph takes
    product = HessianProduct(*case.arguments, kept_bytes=kept * one)
    assert len(product._kept) == kept
    direction = torch.randn(product.size, dtype=torch.float64)
    for _ in range(2):
        torch.testing.assert_close(product(direction), case.dense @ direction, rtol=1e-11, atol=1e-12)
    assert product.count == 2


def test_float32_models_have_nearly_the_same_products_and_diagonals():
    case = curved.curved(curved.batch_norm)
    single = {n: t.float() if t.is_floating_point() else t for n, t in case.buffers.items()}
    given = (case.module, case.layout, case.parameters.float(), single, case.data)
    direction = torch.from_numpy(np.random.default_rng(0).standard_normal(len(case.parameters)))
    torch.testing.assert_close(
        HessianProduct(*given)(direction), case.dense @ direction, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(exact_diagonal(*given), case.dense.diagonal(), rtol=1e-4, atol=1e-6)


def test_eigenpairs_at_both_ends_are_those_of_the_dense_hessian():
    case = curved.curved(curved.gelu)
    oracle = np.linalg.eigvalsh(case.dense.numpy())
    assert oracle[0] < -1e-3
    for find, expected in ((top_eigenpairs, oracle[::-1][:3]), (bottom_eigenpairs, oracle[:3])):
        product = HessianProduct(*case.arguments)
        pairs = find(product, product.size, 3, seed=0, device="cpu")
        np.testing.assert_allclose(pairs.values, expected, rtol=1e-5)
        assert (pairs.residuals < 1e-2).all()
        for value, vector, residual in zip(pairs.values, pairs.vectors, pairs.residuals, strict=True):
            gap = case.dense.numpy() @ vector - value * vector
            assert residual == pytest.approx(np.linalg.norm(gap) / abs(value), abs=1e-10)
        again = find(HessianProduct(*case.arguments), product.size, 3, seed=0, device="cpu")
        np.testing.assert_array_equal(again.values, pairs.values)


def test_the_largest_is_not_the_largest_magnitude():
    values = np.linspace(-5, 1, 60)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((60, 60)))[0]
    matrix = torch.from_numpy(rotation @ np.diag(values) @ rotation.T)
    pairs = top_eigenpairs(lambda vector: matrix @ vector, 60, 2, seed=0, device="cpu")
    np.testing.assert_allclose(pairs.values, [1, values[-2]], rtol=1e-4)
    pairs = bottom_eigenpairs(lambda vector: matrix @ vector, 60, 2, seed=0, device="cpu")
    np.testing.assert_allclose(pairs.values, values[:2], rtol=1e-4)


@pytest.mark.parametrize("ends", ["before", "after"])
def test_where_memory_ends_lanczos_is_restarted(monkeypatch, ends):
    """Whether the basis may grow or not, the pairs are the same; restarts take more products."""
    values = np.linspace(1, 2, 400)
    calls = []

    def product(vector):
        calls.append(1)
        return torch.from_numpy(values) * vector

    monkeypatch.setattr(hessian, "BASIS_BYTES", 8 * 400 * (100 if ends == "after" else 1))
    pairs = top_eigenpairs(product, 400, 2, seed=0, device="cpu")
    assert (len(calls) > hessian.MOST_VECTORS) == (ends == "before")
    np.testing.assert_allclose(pairs.values, values[::-1][:2], rtol=1e-4)
    for value, vector, residual in zip(pairs.values, pairs.vectors, pairs.residuals, strict=True):
        assert residual == pytest.approx(np.linalg.norm(values * vector - value * vector) / value, abs=1e-10)
        assert np.linalg.norm(vector) == pytest.approx(1) and residual < hessian.TOLERANCE


def test_the_second_eigenvalue_is_not_taken_for_the_first():
    """1 % apart, where a residual may be small before the largest one has shown itself."""
    values = torch.from_numpy(0.3 * abs(np.random.default_rng(0).standard_normal(3000)))
    values[:6] = torch.tensor([10, 9.9, 6, 5, 4, 3])
    found = [top_eigenpairs(lambda v: values * v, 3000, 1, seed, "cpu").values[0] for seed in range(100)]
    np.testing.assert_allclose(found, 10, rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_hessian_of_zeros_or_of_nan_has_no_eigenpairs(value):
    with pytest.raises(ArpackError):
        top_eigenpairs(lambda vector: value * vector, 30, 1, seed=0, device="cpu")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_nearly_all_eigenvalues_of_a_small_operator(count):
    matrix = torch.diag(torch.tensor([1.0, 4.0, 2.0, 3.0], dtype=torch.float64))
    for find, expected, name in (
        (top_eigenpairs, [4, 3, 2], "top"),
        (bottom_eigenpairs, [1, 2, 3], "bottom"),
    ):
        pairs = find(lambda vector: matrix @ vector, 4, count, seed=0, device="cpu")
        np.testing.assert_allclose(pairs.values, expected[:count], rtol=1e-8)
        with pytest.raises(ValueError, match=f"{name} must be between 1 and 3"):
            find(lambda vector: matrix @ vector, 4, 4, seed=0, device="cpu")


# Which networks have an exact diagonal


class Twice(nn.Module):
    """Applies one layer two times over."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(self.layer(x))


class Outside(Twice):
    def forward(self, x):
        return self.layer(x) + self.layer.weight.sum()


class Product(Twice):
    def forward(self, x):
        return self.layer(x) * x


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 4), nn.Linear(4, 4)
        self.other.weight = self.one.weight

    def forward(self, x):
        return self.other(self.one(x).relu())


class Fine(Twice):
    """All that may stand between layers."""

    def forward(self, x):
        y = self.layer(2 * x / 3).relu()
        y = torch.cat([-y, y - 1, x[:, 1:]], dim=1)[:, :4]
        return (y + x).unsqueeze(1).max(dim=1).values


def reason(module, inputs):
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return why_not_piecewise_linear(module, tensors, inputs)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Twice(), "Twice calls layer several times"),
        (Outside(), "Outside uses weights outside of their layer"),
        (Product(), "Product calls mul"),
        (Tied(), "Tied uses the same weights in two layers"),
        (nn.Sequential(nn.Linear(4, 4), nn.Tanh()), "Sequential calls tanh"),
        (nn.Sequential(nn.Linear(4, 4), nn.Softplus()), "Sequential calls softplus"),
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), "Sequential has LayerNorm (1)"),
        (nn.LSTM(4, 4), "LSTM has LSTM ()"),
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)),
         "Sequential has BatchNorm1d (1) without running statistics"),
        (Fine(), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)  # fmt: skip
def test_what_is_not_piecewise_linear_says_why(module, words):
    before = module.training
    assert reason(module, torch.randn(2, 4)) == words
    assert module.training == before and not any(one._forward_pre_hooks for one in module.modules())


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (curved.group_norm, r"ResNet has GroupNorm \(norm\)"),
        (curved.gelu, "Sequential calls gelu"),
        (curved.gpt, r"GPT has Embedding \(tokens\)"),
    ],
)
def test_no_wrong_diagonal_is_handed_out(build, words):
    """Of these the formula is wrong: the Hessian's diagonal has negative entries, or others."""
    case = curved.curved(build)
    with pytest.raises(FedscapeError, match=f"piecewise linear .* BatchNorm in eval mode; {words}$") as error:
        exact_diagonal(*case.arguments)
    assert "\n" not in str(error.value)


def test_a_grouped_convolution_is_refused():
    module = nn.Sequential(nn.Conv2d(2, 2, 1, groups=2), nn.Flatten())
    assert reason(module, torch.randn(1, 2, 2, 2)) == "Sequential has Conv2d (0) in groups"


def test_group_norm_is_rightly_refused():
    """With normalisation by a deviation that moves, the block of a layer is not the Gauss-Newton matrix's."""
    case = curved.curved(curved.group_norm)
    logits = torch.func.functional_call(
        case.module, parameters_of(case.parameters.requires_grad_(), case.layout), (case.inputs,)
    )
    p = logits.detach().softmax(dim=1)
    total = torch.zeros_like(case.parameters)
    for n in range(len(p)):
        for c in range(p.shape[1]):
            (slope,) = torch.autograd.grad(
                logits[n].log_softmax(dim=0)[c], case.parameters, retain_graph=True
            )
            total += p[n, c] * slope**2 / len(p)
    assert not torch.allclose(total, case.dense.diagonal(), rtol=0.01, atol=0.01)


def test_the_library_works_from_a_notebook():
    """As the package's docstring shows it, on a module with its own weights."""
    case = curved.curved(curved.conv)
    layout, vector, buffers = library.state_of(case.module)
    assert (layout, buffers) == (case.layout, {}) and torch.equal(vector.double(), case.parameters)
    product = library.HessianProduct(case.module, *library.state_of(case.module), case.data)
    trace = float(case.dense.trace())
    assert float(library.exact_diagonal(*case.arguments).sum()) == pytest.approx(trace, rel=1e-12)
    estimate = library.hutch_pp(product, product.size, 30, seed=0, device="cpu")
    assert abs(estimate.value - trace) < 5 * estimate.standard_error + 1e-5
    assert set(library.__all__) <= set(dir(library))


def test_state_of_a_module_with_batch_norm():
    case = curved.curved(curved.batch_norm)
    layout, vector, buffers = state_of(case.module)
    expected = flatten(case.module.state_dict(), layout)
    assert torch.equal(vector, expected[0])
    assert buffers.keys() == buffers_of(*expected[1:], layout).keys()
