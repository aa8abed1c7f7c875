"""Products of the Hessian of the loss with vectors, without the Hessian."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fedscape.models.evaluate import EvaluationSet, mode
from fedscape.models.layout import Layout, parameters_of

GRAPH_SAMPLES = 1000
"""Samples whose gradient's graph is kept between products: a third less time per product for 0.6 GB of
memory with ConvNet at 32x32, 4 GB with ResNet-20. With more samples each product computes gradients again."""


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
        samples = len(self.data.labels)
        for images, labels in self.data.batches():
            with mode(self.module, training=False):
                tensors = {**parameters_of(self.point, self.layout), **self.buffers}
                logits = functional_call(self.module, tensors, (images.to(self.point.dtype),), strict=True)
            loss = cross_entropy(logits, labels, reduction="sum") / samples
            yield torch.autograd.grad(loss, self.point, create_graph=True)[0]
