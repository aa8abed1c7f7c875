"""A narrower network inside a network: its layers compute with their first channels only.

The slimmable networks of GradAug (Yang et al., 2020) and FedAlign (Mendieta et al., 2022). Parameters are
shared with the full width, which keeps the running statistics of batch norm for itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from fedscape.errors import FedscapeError
from fedscape.models.residual import PaddedShortcut

DIVISOR = 8
"""Kept channels are a multiple of this, as in the authors' code."""
LARGEST_LOSS = 0.1
"""Largest share of the requested channels that rounding to a multiple may take away."""


def slim_channels(channels: int, width: float) -> int:
    """The number of `channels` that a network of relative `width` keeps: the nearest multiple of 8.

    At least 8, never below 0.9 of the product, never above `channels`; with width 1 all of them.
    """
    if width == 1:
        return channels
    target = channels * width
    kept = max(DIVISOR, int(target + DIVISOR / 2) // DIVISOR * DIVISOR)
    if kept < (1 - LARGEST_LOSS) * target:
        kept += DIVISOR
    return min(kept, channels)


@contextmanager
def slimmed(module: nn.Module, width: float, keep: Sequence[str] = ()) -> Iterator[None]:
    """While it holds, every layer of `module` has its first `slim_channels` outputs only.

    Inputs are as many channels as arrive. Batch norm uses the batch's statistics and leaves its running ones
    alone, also in eval mode. With width 1 nothing changes. The layers read their parameters at the
    call, so it works under `torch.func.functional_call` and `vmap`.

    width: share of the channels, in (0, 1]. keep: names within `module` of layers that keep all outputs, such
    as the classifier. Raises ValueError for another width or an unknown name. A call of the module raises
    FedscapeError at a grouped convolution, and at group norm whose groups the kept channels would split.
    """
    if not 0 < width <= 1:
        raise ValueError(f"width must be > 0 and <= 1, got {width}")
    layers = dict(module.named_modules())
    if not layers.keys() >= set(keep):
        raise ValueError(f"keep: {type(module).__name__} has no {', '.join(set(keep) - layers.keys())}")
    if width == 1:
        yield
        return
    changed = []
    try:
        for name, layer in layers.items():
            kind = next((kind for kind in FORWARDS if isinstance(layer, kind)), None)
            if kind is not None:
                # Straight into the instance's dictionary: setting a module's attributes is slow, and methods
                # slim in each step.
                attributes = vars(layer)
                changed.append((attributes, attributes.get("forward")))
                attributes["forward"] = partial(FORWARDS[kind], layer, name, 1.0 if name in keep else width)
        yield
    finally:
        for attributes, before in changed:
            if before is None:
                del attributes["forward"]
            else:
                attributes["forward"] = before


def _convolution(layer: nn.Conv2d, name: str, width: float, features: Tensor) -> Tensor:
    if layer.groups != 1:
        raise FedscapeError(
            f"layer {name}: a convolution in {layer.groups} groups cannot be slimmed; choose another model"
        )
    kept = slim_channels(layer.out_channels, width)
    # The layer's own method, because it knows about padding modes.
    return layer._conv_forward(features, layer.weight[:kept, : features.shape[1]], _first(layer.bias, kept))


def _linear(layer: nn.Linear, name: str, width: float, features: Tensor) -> Tensor:
    kept = slim_channels(layer.out_features, width)
    weight = layer.weight[:kept, : features.shape[1]]
    return functional.linear(features, weight, _first(layer.bias, kept))


def _batch_norm(layer: nn.BatchNorm2d, name: str, width: float, features: Tensor) -> Tensor:
    kept = features.shape[1]
    weight, bias = _first(layer.weight, kept), _first(layer.bias, kept)
    return functional.batch_norm(features, None, None, weight, bias, training=True, eps=layer.eps)


def _group_norm(layer: nn.GroupNorm, name: str, width: float, features: Tensor) -> Tensor:
    kept, size = features.shape[1], layer.num_channels // layer.num_groups
    if kept % size:
        raise FedscapeError(
            f"layer {name}: width {width} keeps {kept} of {layer.num_channels} channels, no whole number of "
            f"groups of {size}; choose more groups or another width"
        )
    weight, bias = _first(layer.weight, kept), _first(layer.bias, kept)
    return functional.group_norm(features, kept // size, weight, bias, layer.eps)


def _shortcut(layer: PaddedShortcut, name: str, width: float, features: Tensor) -> Tensor:
    return layer.padded(features, slim_channels(layer.outputs, width))


def _first(vector: Tensor | None, kept: int) -> Tensor | None:
    return None if vector is None else vector[:kept]


FORWARDS = {
    nn.Conv2d: _convolution,
    nn.Linear: _linear,
    nn.BatchNorm2d: _batch_norm,
    nn.GroupNorm: _group_norm,
    PaddedShortcut: _shortcut,
}
"""The layers that slimming changes: (layer, its name, width, input) -> output. All others are left alone."""
