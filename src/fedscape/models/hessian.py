"""The largest eigenvalues of the loss's Hessian, from its products with vectors and without the Hessian."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fedscape.models.evaluate import EvaluationSet, mode
from fedscape.models.layout import Layout, parameters_of
from fedscape.models.subject import Subject
from fedscape.streams import stream

GRAPH_SAMPLES = 1000
"""Samples whose gradient's graph is kept between products: a third less time per product for 0.6 GB of
memory with ConvNet at 32x32, 4 GB with ResNet-20. With more samples each product computes gradients again."""

LANCZOS_VECTORS = 10
"""Size of the Krylov space; with a tolerance of 1e-3 about 11 to 16 products give an error below 1e-6."""
TOLERANCE = 1e-3
"""Relative accuracy at which ARPACK stops; eigenvalues are far better (their error is the square)."""
RESTARTS = 300
"""Restarts of ARPACK before it is said not to converge; usual are 1 to 3."""


@dataclass(frozen=True)
class Eigenpairs:
    """values [k], largest first; residuals [k] = ||H v - lambda v|| / |lambda|; vectors float64 [k, P]."""

    values: np.ndarray
    residuals: np.ndarray
    vectors: np.ndarray


class HessianProduct:
    """The Hessian of the sample-weighted mean cross-entropy at one point, as a function of a vector.

    parameters: the point [P], of any floating type; buffers stay as they are and the module is in eval mode,
    so the loss is a fixed function of the parameters. `count` says how many products have been computed.
    """

    def __init__(
        self,
        module: nn.Module,
        layout: Layout,
        parameters: Tensor,
        buffers: dict[str, Tensor],
        data: EvaluationSet,
        graph_samples: int = GRAPH_SAMPLES,
    ):
        self.module = module
        self.layout = layout
        self.point = parameters.detach().clone().requires_grad_()
        self.buffers = buffers
        self.data = data
        self.count = 0
        self._kept = list(self._gradients()) if len(data.labels) <= graph_samples else None

    @classmethod
    def of(cls, subject: Subject, parameters: Tensor, buffers: dict[str, Tensor]) -> "HessianProduct":
        """For a model of the subject, on its train samples and its device."""
        buffers = {name: tensor.to(subject.device) for name, tensor in buffers.items()}
        return cls(subject.module, subject.layout, parameters.to(subject.device), buffers, subject.train)

    def __call__(self, vector: Tensor) -> Tensor:
        """H v, float64 [P], for `vector` [P]; batches are added up in float64."""
        self.count += 1
        vector = vector.to(self.point)
        total = torch.zeros(self.point.shape, dtype=torch.float64, device=self.point.device)
        for gradient in self._gradients() if self._kept is None else self._kept:
            (product,) = torch.autograd.grad(
                gradient, self.point, vector, retain_graph=self._kept is not None
            )
            total += product
        return total

    def _gradients(self) -> Iterator[Tensor]:
        """Per batch, its part of the mean's gradient [P], ready to be differentiated once more."""
        predictions = self.data.labels.numel()  # one for each image, or for each token of a sequence
        for inputs, labels in self.data.batches():
            if inputs.is_floating_point():
                inputs = inputs.to(self.point.dtype)
            with mode(self.module, training=False):
                tensors = {**parameters_of(self.point, self.layout), **self.buffers}
                logits = functional_call(self.module, tensors, (inputs,), strict=True)
            loss = cross_entropy(logits, labels, reduction="sum") / predictions
            yield torch.autograd.grad(loss, self.point, create_graph=True)[0]


def top_eigenpairs(
    product: Callable[[Tensor], Tensor], size: int, top: int, seed: int, device: torch.device
) -> Eigenpairs:
    """The `top` algebraically largest eigenpairs of a symmetric operator on vectors [size].

    Lanczos with restarts (ARPACK), started from the stream `eigenvector` of `seed`. Unlike power iteration it
    does not mistake a large negative eigenvalue for the largest. `top` more products give the residuals.
    Raises ArpackError if it does not converge, ValueError if `top` is not below `size`.
    """
    if not 1 <= top < size:
        raise ValueError(f"top must be between 1 and {size - 1} for {size} parameters, got {top}")

    def apply(vector: np.ndarray) -> np.ndarray:
        return product(torch.from_numpy(vector.reshape(-1)).to(device)).cpu().numpy()

    values, vectors = eigsh(
        LinearOperator((size, size), matvec=apply, dtype=np.float64),
        k=top,
        which="LA",
        # ARPACK needs more vectors than eigenpairs and no more than there are dimensions.
        ncv=min(size, max(LANCZOS_VECTORS, 2 * top + 1)),
        tol=TOLERANCE,
        maxiter=RESTARTS,
        v0=stream(seed, "eigenvector").standard_normal(size),
    )
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors.T[order]
    residuals = [
        np.linalg.norm(apply(vector) - value * vector) / abs(value)
        for value, vector in zip(values, vectors, strict=True)
    ]
    return Eigenpairs(values, np.array(residuals), vectors)
