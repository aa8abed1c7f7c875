"""A model as three flat vectors, the form in which the engine resets, averages and keeps it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fedscape.checkpoints.layout import Layout, buffers_of, flatten, layout_of, parameters_of


@dataclass(frozen=True)
class ModelState:
    """Parameters and buffers of one model, flattened as `checkpoints.layout` says."""

    parameters: Tensor  # float32 [P]
    buffers: Tensor  # float32 [B], running statistics
    counters: Tensor  # int64 [C], integer buffers such as batch norm's num_batches_tracked

    @classmethod
    def of(cls, module: nn.Module) -> "ModelState":
        """Copy of a module's tensors, on the module's device."""
        tensors = dict(module.named_parameters()) | dict(module.named_buffers())
        return cls(*flatten(tensors, layout_of(module)))

    def to(self, device: torch.device) -> "ModelState":
        return ModelState(*(vector.to(device) for vector in self.vectors))

    def clone(self) -> "ModelState":
        return ModelState(*(vector.clone() for vector in self.vectors))

    def copy_(self, other: "ModelState") -> None:
        """Overwrite the vectors in place, so that views of them follow."""
        for vector, source in zip(self.vectors, other.vectors, strict=True):
            vector.copy_(source)

    @property
    def vectors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.parameters, self.buffers, self.counters

    def named(self, layout: Layout) -> dict[str, Tensor]:
        """Parameters and buffers by name: views of the vectors."""
        return parameters_of(self.parameters, layout) | buffers_of(self.buffers, self.counters, layout)

    def is_finite(self) -> bool:
        """Whether no parameter and no float buffer is NaN or infinite."""
        return bool(torch.isfinite(self.parameters).all() and torch.isfinite(self.buffers).all())
