"""Extreme eigenvalues of the loss's Hessian, from its products with vectors and without the Hessian."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from fedscape.checkpoints.layout import Layout, buffers_of, flatten, layout_of, parameters_of
from fedscape.evaluation.evaluate import SampleSet, mode
from fedscape.evaluation.krylov import Krylov, lanczos
from fedscape.evaluation.loss import part_of_mean
from fedscape.evaluation.problem import Problem
from fedscape.jobs.streams import stream

KEPT_BYTES = 4 << 30
"""Memory on a CPU for graphs of gradients that are kept between products, which makes a product a third
faster: 1,400 images of 32x32 in ResNet-20, 8,700 in ConvNet. What does not fit is recomputed for each."""
KEPT_SHARE = 0.5
"""The same on a GPU: a share of its free memory."""

TOLERANCE = 1e-3
"""Residual at which an eigenpair is good enough, as a share of its eigenvalue, whose error is the square."""
GROWING_TOLERANCE = 1e-5
"""The same while the basis grows. A small residual says that there is an eigenvalue, not that it is the
largest: at the first one below TOLERANCE, 13 of 300 starts had found the second one, 1 % below; at this one
none had, for two or three more products."""
BASIS_BYTES = 1 << 30
"""Memory for vectors that are kept before Lanczos is restarted: the basis only grows this far."""
MOST_VECTORS = 60
"""The same where vectors are short; what has not converged by then takes restarts anyway."""
LANCZOS_VECTORS = 10
"""Size of the Krylov space that ARPACK restarts: it takes no more memory than the basis grown before it."""
RESTARTS = 300
"""Restarts of ARPACK before it is said not to converge; usual are 1 to 3."""


@dataclass(frozen=True)
class Eigenpairs:
    """values [k], the most extreme first; residuals [k] = ||H v - lambda v|| / |lambda|; vectors [k, P]."""

    values: np.ndarray
    residuals: np.ndarray
    vectors: np.ndarray


class HessianProduct:
    """The Hessian of the data's loss, the mean over the samples, at one point, as a function of a vector.

    parameters: the point [P], of any floating type; buffers stay as they are and the module is in eval mode,
    so the loss is a fixed function of the parameters. `count` says how many products have been computed.
    kept_bytes: memory for the graphs of the gradients of the first batches (None: KEPT_BYTES or KEPT_SHARE);
    those of the others are built anew for each product.
    """

    def __init__(
        self,
        module: nn.Module,
        layout: Layout,
        parameters: Tensor,
        buffers: dict[str, Tensor],
        data: SampleSet,
        kept_bytes: int | None = None,
    ):
        self.module = module
        self.layout = layout
        self.point = parameters.detach().clone().requires_grad_()
        self.buffers = buffers
        self.data = data
        self.count = 0
        budget = _free_bytes(self.point.device) if kept_bytes is None else kept_bytes
        self._kept = list(self._gradients(stop=self._batches_within(budget)))

    @classmethod
    def of(cls, problem: Problem, parameters: Tensor, buffers: dict[str, Tensor]) -> "HessianProduct":
        """For a model of the problem, on its train samples and its device."""
        buffers = {name: tensor.to(problem.device) for name, tensor in buffers.items()}
        return cls(problem.module, problem.layout, parameters.to(problem.device), buffers, problem.train)

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return self.layout.parameter_count

    def __call__(self, vector: Tensor) -> Tensor:
        """H v, float64 [P], for `vector` [P]; batches are added up in float64."""
        self.count += 1
        vector = vector.to(self.point)
        total = torch.zeros(self.point.shape, dtype=torch.float64, device=self.point.device)
        for gradient in self._kept:
            total += torch.autograd.grad(gradient, self.point, vector, retain_graph=True)[0]
        for gradient in self._gradients(start=len(self._kept)):
            total += torch.autograd.grad(gradient, self.point, vector)[0]
        return total

    def _gradients(self, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Each batch's part of the mean loss's gradient [P], which can be differentiated again."""
        total = len(self.data.labels)
        for inputs, labels in islice(self.data.batches(), start, stop):
            if inputs.is_floating_point():
                inputs = inputs.to(self.point.dtype)
            # Fused attention has no second derivative.
            with mode(self.module, training=False), sdpa_kernel(SDPBackend.MATH):
                tensors = {**parameters_of(self.point, self.layout), **self.buffers}
                outputs = functional_call(self.module, tensors, (inputs,), strict=True)
            loss = part_of_mean(self.data.loss(outputs, labels), len(labels), total)
            yield torch.autograd.grad(loss, self.point, create_graph=True)[0]

    def _batches_within(self, budget: int) -> int:
        """The number of batches whose graphs fit into `budget` bytes, estimated from the first one."""
        if not budget:
            return 0
        saved: dict[int, int] = {}  # bytes by address, since a tensor may be saved several times

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            saved[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()

        with saved_tensors_hooks(note, lambda tensor: tensor):
            next(self._gradients(stop=1))
        return budget // max(sum(saved.values()), 1)


def state_of(module: nn.Module) -> tuple[Layout, Tensor, dict[str, Tensor]]:
    """Layout, parameters [P] and buffers of a module's own weights, as `HessianProduct` takes them."""
    layout = layout_of(module)
    vector, floats, counters = flatten(dict(module.state_dict()), layout)
    device = next(module.parameters()).device
    return layout, vector.to(device), buffers_of(floats.to(device), counters.to(device), layout)


def top_eigenpairs(
    product: Callable[[Tensor], Tensor], size: int, top: int, seed: int, device: torch.device
) -> Eigenpairs:
    """The `top` algebraically largest eigenpairs of a symmetric operator on vectors [size], largest first.

    Lanczos, started from the stream `eigenvector` of `seed`, until all residuals are below GROWING_TOLERANCE:
    about ten products for one pair. If memory runs out before, with restarts until they are below TOLERANCE
    (ARPACK), and `top` more products for the residuals. Unlike power iteration it does not mistake a large
    negative eigenvalue for the largest. An eigenvalue that occurs several times is found once.
    Raises ArpackError if it does not converge, ValueError if `top` is not below `size`.
    """
    return _eigenpairs(product, size, top, "LA", seed, device)


def bottom_eigenpairs(
    product: Callable[[Tensor], Tensor], size: int, bottom: int, seed: int, device: torch.device
) -> Eigenpairs:
    """The `bottom` algebraically smallest (most negative) ones, smallest first, else as `top_eigenpairs`."""
    return _eigenpairs(product, size, bottom, "SA", seed, device)


def _eigenpairs(
    product: Callable[[Tensor], Tensor],
    size: int,
    count: int,
    end: Literal["LA", "SA"],
    seed: int,
    device: torch.device,
) -> Eigenpairs:
    if not 1 <= count < size:
        name = {"LA": "top", "SA": "bottom"}[end]
        raise ValueError(f"{name} must be between 1 and {size - 1} for {size} parameters, got {count}")

    start = stream(seed, "eigenvector").standard_normal(size)
    # ARPACK needs more vectors than eigenpairs and no more than there are dimensions.
    vectors = min(size, max(LANCZOS_VECTORS, 2 * count + 1))
    most = max(vectors, min(MOST_VECTORS, BASIS_BYTES // (8 * size)))
    state = None
    for state in lanczos(product, torch.from_numpy(start).to(device), most):
        # A basis of this many vectors misses no eigenvalue.
        accuracy = GROWING_TOLERANCE if len(state.basis) < MOST_VECTORS else TOLERANCE
        if len(state.basis) > count and (pairs := _converged(state, count, end, accuracy)):
            return pairs

    def apply(vector: np.ndarray) -> np.ndarray:
        return product(torch.from_numpy(vector.reshape(-1)).to(device)).cpu().numpy()

    del state  # its memory is ARPACK's now
    values, vectors = eigsh(
        LinearOperator((size, size), matvec=apply, dtype=np.float64),
        k=count,
        which=end,
        ncv=vectors,
        tol=TOLERANCE,
        maxiter=RESTARTS,
        v0=start,
    )
    order = np.argsort(values if end == "SA" else -values)
    values, vectors = values[order], vectors.T[order]
    residuals = [
        np.linalg.norm(apply(vector) - value * vector) / abs(value)
        for value, vector in zip(values, vectors, strict=True)
    ]
    return Eigenpairs(values, np.array(residuals), vectors)


def _converged(state: Krylov, count: int, end: Literal["LA", "SA"], accuracy: float) -> Eigenpairs | None:
    """The `count` most extreme eigenpairs of a Krylov space, if they are accurate enough."""
    if not np.isfinite(state.diagonal).all():
        return None
    values, columns = state.eigen()
    order = np.arange(count) if end == "SA" else np.arange(len(values))[: -count - 1 : -1]
    values, columns = values[order], columns[:, order]
    # ||A v - theta v|| is what leaves the space.
    gaps = abs(state.residual * columns[-1])
    if not (gaps < accuracy * abs(values)).all():
        return None
    parts = (np.outer(row, vector.cpu().numpy()) for row, vector in zip(columns, state.basis, strict=True))
    vectors = sum(parts, np.zeros((count, len(state.basis[0]))))
    return Eigenpairs(values, gaps / abs(values), vectors)


def _free_bytes(device: torch.device) -> int:
    """Memory that graphs may take on a device."""
    if device.type != "cuda":
        return KEPT_BYTES
    # Memory that torch keeps reserved for reuse counts as used.
    return int(KEPT_SHARE * torch.cuda.mem_get_info(device)[0])
