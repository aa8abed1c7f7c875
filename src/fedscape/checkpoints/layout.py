"""The layout of a module's tensors in flat vectors: parameters, float buffers and integer counters.

The parameter vector is the concatenation of `named_parameters()` in that order. Buffers are no part of it:
float ones (running statistics) and integer ones (`num_batches_tracked`) lie in vectors of their own, because
averaging or interpolating treats each kind differently.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fedscape.errors import FedscapeError

Entries = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a module's tensors, in the order in which the flat vectors hold them."""

    parameters: Entries
    buffers: Entries
    counters: Entries

    @property
    def parameter_count(self) -> int:
        """P, the length of the parameter vector."""
        return _size(self.parameters)

    @property
    def buffer_count(self) -> int:
        """B, the length of the vector of float buffers."""
        return _size(self.buffers)

    @property
    def counter_count(self) -> int:
        """C, the length of the vector of integer buffers."""
        return _size(self.counters)

    def to_json(self) -> str:
        """Text for a file's metadata."""
        return json.dumps({"parameters": self.parameters, "buffers": self.buffers, "counters": self.counters})

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """The layout that `to_json` wrote; a ValueError or a TypeError for other text."""
        kinds = json.loads(text)
        layout = cls(**{kind: tuple((name, tuple(shape)) for name, shape in kinds[kind]) for kind in kinds})
        for name, shape in (*layout.parameters, *layout.buffers, *layout.counters):
            if type(name) is not str or not all(type(size) is int and size >= 0 for size in shape):
                raise ValueError(f"no name and shape: {name}, {shape}")
        return layout


def layout_of(module: nn.Module) -> Layout:
    """Layout of a module's parameters and buffers."""

    def entries(named) -> Entries:
        return tuple((name, tuple(tensor.shape)) for name, tensor in named)

    buffers = list(module.named_buffers())
    return Layout(
        parameters=entries(module.named_parameters()),
        buffers=entries((name, tensor) for name, tensor in buffers if tensor.is_floating_point()),
        counters=entries((name, tensor) for name, tensor in buffers if not tensor.is_floating_point()),
    )


def check_layout(module: nn.Module, layout: Layout, path: str | Path) -> None:
    """Refuse a file of models that are not of the module's kind."""
    expected = layout_of(module)
    if layout != expected:
        raise FedscapeError(
            f"{path}: holds models of {layout.parameter_count} parameters with other names or shapes than "
            f"{type(module).__name__} for this data set ({expected.parameter_count} parameters)"
        )


def parameters_of(vector: Tensor, layout: Layout) -> dict[str, Tensor]:
    """The parameter vector [P] as named tensors; views, so writing into one writes into the vector.

    Vectors of several models, stacked to [..., P], give tensors with the same leading dimensions.
    """
    return _views(vector, layout.parameters)


def buffers_of(float_vector: Tensor, int_vector: Tensor, layout: Layout) -> dict[str, Tensor]:
    """Vectors of float buffers [..., B] and of counters [..., C] as named tensors; views."""
    return _views(float_vector, layout.buffers) | _views(int_vector, layout.counters)


def flatten(tensors: dict[str, Tensor], layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """Named tensors (a state_dict, say) as vectors.

    Parameters [P] and float buffers [B] as float32, counters [C] as int64. Copies, detached; names outside
    the layout are left out. A missing name is a KeyError.
    """
    return (
        _join(tensors, layout.parameters, torch.float32),
        _join(tensors, layout.buffers, torch.float32),
        _join(tensors, layout.counters, torch.int64),
    )


def _size(entries: Entries) -> int:
    return sum(math.prod(shape) for _, shape in entries)


def _views(vector: Tensor, entries: Entries) -> dict[str, Tensor]:
    *stack, length = vector.shape
    if length != _size(entries):
        raise ValueError(f"a vector of shape {tuple(vector.shape)} does not hold {_size(entries)} numbers")
    pieces = vector.split([math.prod(shape) for _, shape in entries], dim=-1)
    return {name: piece.view((*stack, *shape)) for (name, shape), piece in zip(entries, pieces, strict=True)}


def _join(tensors: dict[str, Tensor], entries: Entries, dtype: torch.dtype) -> Tensor:
    if not entries:
        return torch.empty(0, dtype=dtype)
    return torch.cat([tensors[name].detach().reshape(-1).to(dtype) for name, _ in entries])
