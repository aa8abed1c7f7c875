"""How far two models are from each other and from their starts, layer by layer."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fedscape.connectivity.layer_groups import layers_of

PIECE = 2**24
"""Numbers of a tensor that are in memory as float64 at once."""
WHOLE_MODEL = ""
"""Name of the row for all layers together; its depth is -1."""


def distances(
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    layers: Mapping[str, tuple[str, ...]] | None = None,
    first_start: Mapping[str, Tensor] | None = None,
    second_start: Mapping[str, Tensor] | None = None,
) -> list[dict]:
    """Rows for the whole models and for each layer: parameters (how many), l2 and cosine.

    first, second: parameters by name; names of `layers` that are not among them, such as buffers, are passed
    over. layers: None for one layer a module. first_start, second_start: where each model began. l2 is of
    first - second, cosine of the raw parameters, NaN where one of them is zero; `..._from_start` and
    `..._to_start` compare first and second with their own starts, NaN without. Sums in float64.
    """
    layers = layers_of(first) if layers is None else layers
    pairs = {"": (first, second), "_from_start": (first, first_start), "_to_start": (second, second_start)}
    by_layer = [
        {
            ending: _products(model, other, [name for name in names if name in first])
            for ending, (model, other) in pairs.items()
        }
        for names in layers.values()
    ]
    whole = {ending: torch.stack([products[ending] for products in by_layer]).sum(dim=0) for ending in pairs}
    counts = [sum(first[name].numel() for name in names if name in first) for names in layers.values()]
    rows = [_row(WHOLE_MODEL, -1, sum(counts), whole)]
    rows += [
        _row(layer, depth, counts[depth], products)
        for depth, (layer, products) in enumerate(zip(layers, by_layer, strict=True))
    ]
    return rows


def _products(
    model: Mapping[str, Tensor], other: Mapping[str, Tensor] | None, names: Sequence[str]
) -> Tensor:
    """Squared distance, inner product and both squared lengths of the named tensors: float64 [4]."""
    sums = torch.zeros(4, dtype=torch.float64)
    if other is None:
        return sums.fill_(math.nan)
    for name in names:
        pieces = (tensors[name].detach().flatten().split(PIECE) for tensors in (model, other))
        for left, right in zip(*pieces, strict=True):
            left, right = left.double(), right.double()
            sums += torch.stack([_square(left - right), left @ right, _square(left), _square(right)]).cpu()
    return sums


def _square(vector: Tensor) -> Tensor:
    return vector @ vector


def _row(layer: str, depth: int, parameters: int, products: Mapping[str, Tensor]) -> dict:
    row = {"layer": layer, "depth": depth, "parameters": parameters}
    for ending, sums in products.items():
        squared, inner, left, right = sums.tolist()
        lengths = math.sqrt(left) * math.sqrt(right)
        row[f"l2{ending}"] = math.sqrt(squared)
        row[f"cosine{ending}"] = inner / lengths if lengths else math.nan
    return row
