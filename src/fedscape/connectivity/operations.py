"""What each operation of a network does to units: the operations through which they can be followed.

An operation is known by its module's type, by its function or by its method's name. Each one here takes
(units, node, layer or None, what the operation is given) and returns what it gives, or raises FedscapeError
with the operation's place in the network where it does more than is known here.
"""

import operator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from fedscape.connectivity.units import ORDERED, PADDING, Units
from fedscape.errors import FedscapeError
from fedscape.models.residual import PaddedShortcut

PLAIN = (fx.Node, bool, int, float, str, tuple, list, type(None))
"""What a pointwise operation may be given; no tensor, which could hold one number per channel."""


@dataclass(frozen=True)
class Features:
    """What an operation gives. channels: the unit of each [C]; None where it follows from the input alone.

    flat: [n, C], as linear layers read and give it; else a map [n, C, H, W]. spread: flat, from a map and so
    [n, C * expansion], with an expansion that shows in the layer that reads it.
    """

    channels: np.ndarray | None
    flat: bool
    spread: bool = False


def refusal(node: fx.Node, layer: nn.Module | None, reason: str) -> FedscapeError:
    """The error that names an operation and the layer in which it is."""
    around = [name for name, _ in node.meta.get("nn_module_stack", {}).values() if name]
    operation = str(getattr(node.target, "__name__", node.target)) if layer is None else type(layer).__name__
    where = f"in {around[-1]} " if around else ""
    return FedscapeError(f"alignment: {operation} {where}{reason}")


def keep_order(units: Units, features: Features) -> None:
    """Pin the units of these features: from now on they keep their positions."""
    if features.channels is not None:
        units.keep_order(features.channels)


def _read(units: Units, node: fx.Node, layer: nn.Module, tensor: str, axis: int, features: Features) -> None:
    """Place the channels that a layer is given, if any, on an axis of one of its tensors."""
    if features.channels is None:
        return
    entries, channels = getattr(layer, tensor).shape[axis], len(features.channels)
    if entries % channels or (entries != channels and not features.spread):
        raise refusal(node, layer, f"has {entries} inputs for {channels} channels")
    units.place(f"{node.target}.{tensor}", axis, features.channels, entries // channels)


def _weighted(units: Units, node: fx.Node, layer: nn.Conv2d | nn.Linear, inputs: list[Features]) -> Features:
    (features,), linear = inputs, isinstance(layer, nn.Linear)
    if not linear and layer.groups != 1:
        raise refusal(node, layer, f"has {layer.groups} groups of channels; only one is known")
    if features.channels is not None:
        if features.flat != linear:
            raise refusal(node, layer, "does not read the channels of what it is given")
        _read(units, node, layer, "weight", 1, features)
    channels = units.place(f"{node.target}.weight", 0, units.new(len(layer.weight)))
    if layer.bias is not None:
        units.place(f"{node.target}.bias", 0, channels)
    return Features(channels, flat=linear)


def _normalised(units: Units, node: fx.Node, layer: nn.Module, inputs: list[Features]) -> Features:
    (features,) = inputs
    if features.channels is None:
        return features
    if isinstance(layer, nn.GroupNorm) and layer.num_groups not in (1, layer.num_channels):
        units.keep_order(features.channels)
    # What padding becomes depends on the channel's own statistics.
    features = replace(features, channels=np.where(features.channels == PADDING, ORDERED, features.channels))
    for tensor in ("weight", "bias", "running_mean", "running_var"):
        if getattr(layer, tensor, None) is not None:
            _read(units, node, layer, tensor, 0, features)
    return features


def _padded(units: Units, node: fx.Node, layer: PaddedShortcut, inputs: list[Features]) -> Features:
    (features,) = inputs
    if features.channels is None:
        raise refusal(node, layer, "pads the network's input")
    new = layer.outputs - len(features.channels)
    margins = (new // 2, new - new // 2)
    return replace(features, channels=np.pad(features.channels, margins, constant_values=PADDING))


def _pointwise(units: Units, node: fx.Node, layer: nn.Module | None, inputs: list[Features]) -> Features:
    """Treats all channels alike: an activation, pooling, a product with a number."""
    if len(inputs) != 1 or not all(isinstance(value, PLAIN) for value in (*node.args, *node.kwargs.values())):
        raise refusal(node, layer, "is known of one input and numbers only")
    return inputs[0]


def _added(units: Units, node: fx.Node, layer: None, inputs: list[Features]) -> Features:
    """Features plus or minus features or a number."""
    if len(inputs) == 1:
        return _pointwise(units, node, layer, inputs)
    first, second = inputs
    if first.channels is None or second.channels is None:
        for features in inputs:
            keep_order(units, features)
        return replace(first, channels=None)
    if first.flat != second.flat or len(first.channels) != len(second.channels):
        raise refusal(node, layer, "is known of inputs of the same shape only")
    both = (first.channels != PADDING) & (second.channels != PADDING)
    units.join(first.channels[both], second.channels[both])
    channels = np.where(first.channels == PADDING, second.channels, first.channels)
    return Features(channels, first.flat, first.spread and second.spread)


def _averaged(units: Units, node: fx.Node, layer: None, inputs: list[Features]) -> Features:
    settings = _settings(node, "dim", "keepdim")
    dims = settings.get("dim")
    if inputs[0].flat or not isinstance(dims, tuple | list) or sorted(dim % 4 for dim in dims) != [2, 3]:
        raise refusal(node, layer, "is known over height and width, dim=(2, 3), only")
    return replace(inputs[0], flat=not settings.get("keepdim", False))


def _flattened(units: Units, node: fx.Node, layer: nn.Flatten | None, inputs: list[Features]) -> Features:
    settings = vars(layer) if layer is not None else _settings(node, "start_dim", "end_dim")
    if (settings.get("start_dim", 0), settings.get("end_dim", -1)) != (1, -1):
        raise refusal(node, layer, "is known from dimension 1 to the last only")
    return _spread(inputs[0])


def _reshaped(units: Units, node: fx.Node, layer: None, inputs: list[Features]) -> Features:
    """`view(size of the batch, -1)`, which flattens."""
    _, *shape = node.args
    batch = shape[0] if len(shape) == 2 and shape[1] == -1 else None
    sizes = ("size", operator.getitem)
    if not isinstance(batch, fx.Node) or batch.target not in sizes or batch.args[1:] != (0,):
        raise refusal(node, layer, "is known as (batch size, -1) only")
    return _spread(inputs[0])


def _spread(features: Features) -> Features:
    return features if features.flat else replace(features, flat=True, spread=True)


def size(units: Units, node: fx.Node, layer: None, inputs: list[Features]) -> None:
    """`x.size(0)` or `x.shape[0]`: a number, no features."""
    attribute = node.args[1] if node.target is getattr else None
    if (node.target is getattr and attribute != "shape") or (node.target is operator.getitem and inputs):
        raise refusal(node, layer, "is known of shapes only")


def _settings(node: fx.Node, *names: str) -> dict:
    """What a function or method is called with behind its input."""
    return dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)


ALIKE = (
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus, nn.Tanh, nn.Sigmoid),
    *(nn.Softmax, nn.LogSoftmax, nn.Identity, nn.Dropout, nn.Dropout2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(functional.relu, functional.leaky_relu, functional.elu, functional.gelu, functional.silu),
    *(functional.max_pool2d, functional.avg_pool2d, functional.adaptive_avg_pool2d, functional.dropout),
    *(torch.relu, torch.tanh, torch.sigmoid, operator.mul, operator.truediv),
    *("relu", "relu_", "tanh", "sigmoid", "contiguous"),
)
"""What treats all channels of one input alike."""
OPERATIONS = {
    **dict.fromkeys(ALIKE, _pointwise),
    **dict.fromkeys((nn.Conv2d, nn.Linear), _weighted),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm), _normalised),
    **dict.fromkeys((operator.add, operator.iadd, operator.sub, torch.add, "add", "add_"), _added),
    **dict.fromkeys((torch.mean, "mean"), _averaged),
    **dict.fromkeys((nn.Flatten, torch.flatten, "flatten"), _flattened),
    **dict.fromkeys(("view", "reshape"), _reshaped),
    **dict.fromkeys((getattr, operator.getitem, "size"), size),
    PaddedShortcut: _padded,
}
"""What follows units through each operation, by type of module, function, or name of a method."""
