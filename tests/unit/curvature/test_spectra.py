"""Estimates of traces and densities on matrices whose spectrum is known, and the agreement of diagonals."""

import math
from dataclasses import astuple

import curved
import numpy as np
import pytest
import torch

from fedscape.curvature.density import quadrature, smoothed
from fedscape.curvature.hessian_agreement import agreement
from fedscape.curvature.traces import FEWEST, hutch_pp, hutchinson, hutchinson_parts, probes, xtrace
from fedscape.evaluation.eigenvalues import HessianProduct
from fedscape.evaluation.krylov import lanczos

SIZE = 120
# Like a trained network's: some large ones that fall fast, a bulk around zero with negative ones in it.
EIGENVALUES = np.concatenate(
    [10 * 0.7 ** np.arange(20), 0.05 * np.random.default_rng(0).standard_normal(100)]
)
ROTATION = np.linalg.qr(np.random.default_rng(1).standard_normal((SIZE, SIZE)))[0]
MATRIX = torch.from_numpy(ROTATION @ np.diag(EIGENVALUES) @ ROTATION.T)
TRACE = EIGENVALUES.sum()
REPEATS = 200


class Counted:
    """Products with a matrix, and how many there were."""

    def __init__(self, matrix=MATRIX):
        self.matrix, self.count = matrix, 0

    def __call__(self, vector):
        self.count += 1
        return self.matrix @ vector


@pytest.mark.parametrize(("estimator", "error"), [(hutchinson, 0.13), (hutch_pp, 0.03), (xtrace, 0.015)])
def test_estimates_are_unbiased_and_their_standard_errors_honest(estimator, error):
    product = Counted()
    found = [estimator(product, SIZE, 30, seed, "cpu") for seed in range(REPEATS)]
    assert product.count == 30 * REPEATS
    values = np.array([one.value for one in found])
    spread = values.std(ddof=1)
    assert abs(values.mean() - TRACE) < 3.5 * spread / REPEATS**0.5
    assert spread < error * TRACE, "the better, the lower the rank"
    stated = np.sqrt(np.mean([one.standard_error**2 for one in found]))
    assert stated == pytest.approx(spread, rel=0.2)
    inside = [abs(one.value - TRACE) < 2 * one.standard_error for one in found]
    assert np.mean(inside) > 0.85
    again = estimator(product, SIZE, 30, 7, "cpu")
    assert again == found[7]


def test_hutchinsons_spread_is_that_of_the_closed_form():
    """Variance of one probe: 2 (|A|_F^2 - |diag A|^2)."""
    values = [hutchinson(Counted(), SIZE, FEWEST, seed, "cpu").value for seed in range(400)]
    variance = 2 * (MATRIX.square().sum() - MATRIX.diagonal().square().sum()) / FEWEST
    assert np.var(values, ddof=1) == pytest.approx(float(variance), rel=0.25)


@pytest.mark.parametrize("estimator", [hutch_pp, xtrace])
@pytest.mark.parametrize("rank", [0, 3])
def test_sketches_see_all_of_a_matrix_of_low_rank(estimator, rank):
    vectors = torch.from_numpy(ROTATION[:, :rank])
    product = Counted(vectors @ torch.diag(torch.arange(1.0, rank + 1).double()) @ vectors.T)
    found = estimator(product, SIZE, 30, 0, "cpu")
    assert found.value == pytest.approx(rank * (rank + 1) / 2, abs=1e-10)
    assert found.standard_error < 1e-10


@pytest.mark.parametrize("estimator", [hutchinson, hutch_pp, xtrace])
def test_few_products_and_operators_smaller_than_the_sketch(estimator):
    assert np.isfinite(estimator(Counted(), SIZE, FEWEST, 0, "cpu").standard_error)
    small = MATRIX[:4, :4]
    found = estimator(Counted(small), 4, 40, 0, "cpu")
    assert abs(found.value - float(small.trace())) < 5 * found.standard_error + 1e-10


def test_traces_of_blocks_are_unbiased_and_add_up():
    sizes = [10, 30, 80]
    blocks = [float(part.sum()) for part in MATRIX.diagonal().split(sizes)]
    found = [hutchinson_parts(Counted(), sizes, 10, seed, "cpu") for seed in range(REPEATS)]
    for place, expected in enumerate([*blocks, TRACE]):
        values = np.array([one[place].value for one in found])
        assert abs(values.mean() - expected) < 3.5 * values.std(ddof=1) / REPEATS**0.5
    assert sum(one.value for one in found[0][:3]) == pytest.approx(found[0][3].value)
    whole = hutchinson(Counted(), SIZE, 10, 0, "cpu")  # sums in another order
    assert astuple(found[0][3]) == pytest.approx(astuple(whole))


def test_probes_are_signs_and_the_first_of_more():
    few, more = list(probes(2, 50, 3, "cpu")), list(probes(5, 50, 3, "cpu"))
    assert all(torch.equal(one, other) for one, other in zip(few, more, strict=False))
    assert all(set(one.tolist()) == {-1.0, 1.0} for one in more)
    assert not torch.equal(more[0], next(probes(1, 50, 4, "cpu")))


def test_estimates_of_a_networks_hessian():
    case = curved.curved(curved.gelu)
    trace = float(case.dense.trace())
    for estimator in (hutchinson, hutch_pp, xtrace):
        product = HessianProduct(*case.arguments)
        found = estimator(product, product.size, 30, 0, "cpu")
        assert product.count == 30 and abs(found.value - trace) < 4 * found.standard_error


# Densities


def test_lanczos_without_ghosts():
    """T's eigenvalues are the matrix's once there are as many steps: none twice, which rounding would do."""
    start = torch.ones(SIZE, dtype=torch.float64)
    *_, state = lanczos(Counted(), start, SIZE)
    np.testing.assert_allclose(state.eigen()[0], np.sort(EIGENVALUES), atol=1e-10)
    basis = torch.stack(state.basis)
    torch.testing.assert_close(basis @ basis.T, torch.eye(SIZE).double(), rtol=0, atol=1e-12)


def test_quadrature_is_exact_for_polynomials():
    """With m steps up to degree 2m - 1, of each vector's own measure v^T f(A) v / P."""
    found = quadrature(Counted(), SIZE, 5, 3, 0, "cpu")
    for degree in range(10):
        power = np.linalg.matrix_power(MATRIX.numpy(), degree)
        expected = np.mean([v.numpy() @ power @ v.numpy() / SIZE for v in probes(3, SIZE, 0, "cpu")])
        assert found.mean(lambda x, degree=degree: x**degree) == pytest.approx(expected, rel=1e-9)


def test_the_density_of_a_known_spectrum():
    product = Counted()
    found = quadrature(product, SIZE, 60, 40, 0, "cpu")
    assert product.count == 60 * 40
    grid, density = smoothed(found, 0.02)
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-3)
    deviation = 0.02 * np.ptp(EIGENVALUES)
    bells = np.exp(-0.5 * ((grid[:, None] - EIGENVALUES) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(density, bells.mean(axis=1), atol=0.03 * bells.mean(axis=1).max())
    for nodes, weights in zip(found.nodes, found.weights, strict=True):
        assert weights.sum() == pytest.approx(1) and nodes.max() == pytest.approx(EIGENVALUES.max(), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_operator_with_one_eigenvalue_ends_after_a_step(value):
    found = quadrature(lambda vector: value * vector, SIZE, 20, 2, 0, "cpu")
    assert [len(nodes) for nodes in found.nodes] == [1, 1]
    grid, density = smoothed(found, 0.01)
    assert grid[density.argmax()] == pytest.approx(value, abs=1e-3)
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-3)


def test_a_hessian_of_nan_has_no_density():
    with pytest.raises(FloatingPointError, match="not finite"):
        quadrature(lambda vector: math.nan * vector, SIZE, 5, 2, 0, "cpu")


# Agreement of clients


def by_hand(diagonals, definition, sizes):
    """The definitions pair by pair."""
    if definition == "code":
        diagonals = [[part.sum() for part in np.split(one, np.cumsum(sizes)[:-1])] for one in diagonals]
    norms, cosines = [], []
    for k, one in enumerate(map(np.asarray, diagonals)):
        for j, other in enumerate(map(np.asarray, diagonals)):
            if definition == "paper" and k != j:
                norms.append((one @ one - other @ other) ** 2)
                cosines.append(one @ other / np.sqrt(one @ one * (other @ other)))
            if definition == "code":
                norms.append((np.sqrt(one @ one) - np.sqrt(other @ other)) ** 2)
                cosines.append(one @ other / np.sqrt(one @ one * (other @ other)))
    return np.mean(norms), np.mean(cosines)


@pytest.mark.parametrize("definition", ["paper", "code"])
@pytest.mark.parametrize("clients", [2, 5])
def test_agreement_is_that_of_every_pair(definition, clients, monkeypatch):
    monkeypatch.setattr("fedscape.checkpoints.blocks.BLOCK_BYTES", 8 * clients * 3)  # three columns at a time
    sizes = [4, 1, 15]
    diagonals = list(np.random.default_rng(2).gamma(2, size=(clients, 20)))
    found = agreement(diagonals, sizes, definition)
    assert (found.norm, found.direction) == pytest.approx(by_hand(diagonals, definition, sizes), rel=1e-12)


def test_equal_clients_agree_and_the_code_counts_each_with_itself():
    one = np.array([1.0, 2.0, 2.0])
    for definition in ("paper", "code"):
        found = agreement([one, one, one], [2, 1], definition)
        assert (found.norm, found.direction) == pytest.approx((0, 1), abs=1e-12)
    apart = [np.array([3.0, 0.0]), np.array([0.0, 4.0])]
    paper, code = (agreement(apart, [1, 1], definition) for definition in ("paper", "code"))
    assert (paper.norm, paper.direction) == pytest.approx((49, 0))
    assert (code.norm, code.direction) == pytest.approx((1 / 2, 1 / 2)), "half of the pairs are with oneself"


def test_fewer_than_two_clients_have_no_pair():
    found = agreement([np.ones(2)], [2], "paper")
    assert np.isnan(found.norm) and np.isnan(found.direction)
    found = agreement([np.ones(2), np.zeros(2)], [2], "paper")
    assert found.norm == 4 and np.isnan(found.direction)
