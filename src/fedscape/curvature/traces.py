"""The trace of a symmetric operator that is known only by its products with vectors: three estimators.

All are unbiased and give a standard error; a fixed number of products is spent, whatever the estimate looks
like on the way (to stop once it settles is biased by luck). Test vectors are Rademacher (+1, -1), from the
stream `probe` of the seed: models that are compared are compared on the same ones.

    hutchinson  mean of v^T A v; relative error about 1 / sqrt(products) (Hutchinson, 1990)
    hutch++     exact on the range of a sketch A S, Hutchinson on the rest; about 1 / products (Meyer et al.,
                Hutch++: Optimal Stochastic Trace Estimation, 2021)
    xtrace      each test vector once for the sketch of the others, once on the rest (Epperly, Tropp & Webber,
                XTrace: Making the Most of Every Sample in Stochastic Trace Estimation, 2024)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fedscape.jobs.streams import stream

Product = Callable[[Tensor], Tensor]
FEWEST = 6
"""Products that each of the estimators has a standard error with."""


@dataclass(frozen=True)
class TraceEstimate:
    """A trace and the standard error of it, as far as the test vectors tell."""

    value: float
    standard_error: float


def hutchinson(product: Product, size: int, products: int, seed: int, device: torch.device) -> TraceEstimate:
    """Mean of v^T A v over `products` test vectors."""
    forms = [vector @ product(vector) for vector in probes(products, size, seed, device)]
    return _mean(torch.stack(forms))


def hutchinson_parts(
    product: Product, sizes: list[int], products: int, seed: int, device: torch.device
) -> list[TraceEstimate]:
    """Traces of the diagonal blocks of these sizes, one after the other, and last of the whole operator."""
    rows = []
    for vector in probes(products, sum(sizes), seed, device):
        rows.append(torch.stack([part.sum() for part in (vector * product(vector)).split(sizes)]))
    blocks = torch.stack(rows)  # [products, blocks]
    return [_mean(column) for column in (*blocks.T, blocks.sum(dim=1))]


def hutch_pp(product: Product, size: int, products: int, seed: int, device: torch.device) -> TraceEstimate:
    """A third of the products for the sketch, a third for the trace on its range, the others for the rest.

    Holds a third of `products` vectors in memory. The standard error is that of the rest, given the sketch.
    """
    sketched = min(products // 3, size)
    vectors = probes(products - sketched, size, seed, device)
    sketch = torch.stack([product(next(vectors)) for _ in range(sketched)], dim=1)
    basis = torch.linalg.qr(sketch).Q  # [size, sketched]
    on_range = sum(column @ product(column) for column in basis.T)
    rest = []
    for vector in vectors:
        outside = vector - basis @ (basis.T @ vector)
        rest.append(outside @ product(outside))
    estimate = _mean(torch.stack(rest))
    return TraceEstimate(float(on_range) + estimate.value, estimate.standard_error)


def xtrace(product: Product, size: int, products: int, seed: int, device: torch.device) -> TraceEstimate:
    """Hutch++ with each half of `products` test vectors left out of the sketch in turn; the mean over them.

    Holds as many vectors as `products` in memory. The standard error is that of a mean of estimates taken for
    independent ones, which they nearly are (section 3.3 of the paper).
    """
    count = min(products // 2, size)
    tests = torch.stack(list(probes(count, size, seed, device)), dim=1)  # [size, count]
    sketch = torch.stack([product(vector) for vector in tests.T], dim=1)
    basis, triangle = torch.linalg.qr(sketch)  # sketch = basis @ triangle
    inner = torch.stack([basis.T @ product(column) for column in basis.T], dim=1)  # basis^T A basis
    inside = basis.T @ tests  # [count, count]
    estimates = []
    for left in range(count):
        others = [i for i in range(count) if i != left]
        # What the sketch of the others leaves out of the range of all: one direction within it.
        left_out = torch.linalg.qr(triangle[:, others], mode="complete").Q[:, -1]
        coordinates = inside[:, left] - left_out * (left_out @ inside[:, left])
        on_range = inner.trace() - left_out @ inner @ left_out
        # (v - B c)^T A (v - B c) for v's projection B c on the sketch of the others.
        rest = tests[:, left] @ sketch[:, left] + coordinates @ inner @ coordinates
        rest -= 2 * coordinates @ triangle[:, left]
        estimates.append(on_range + rest)
    return _mean(torch.stack(estimates))


ESTIMATORS: dict[str, Callable[[Product, int, int, int, torch.device], TraceEstimate]] = {
    "hutchinson": hutchinson,
    "hutch++": hutch_pp,
    "xtrace": xtrace,
}


def probes(count: int, size: int, seed: int, device: torch.device) -> Iterator[Tensor]:
    """Rademacher test vectors, float64 [size]; the first ones are the same whatever their count."""
    for number in range(count):
        signs = stream(seed, "probe", number).integers(0, 2, size, dtype="int8")
        yield 2.0 * torch.from_numpy(signs).to(device, torch.float64) - 1.0


def _mean(values: Tensor) -> TraceEstimate:
    error = values.std(unbiased=True) / len(values) ** 0.5
    return TraceEstimate(float(values.mean()), float(error))
