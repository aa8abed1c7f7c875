"""Whether a network is piecewise linear in the parameters of each of its layers, the others held fixed.

Then the second derivatives of its outputs by two parameters of one layer vanish, and within a layer the
Hessian of the loss is the Gauss-Newton matrix (`exact`). Convolutions and linear layers, batch norm in eval
mode, ReLU, poolings and sums of branches keep that; GELU, attention and recurrent gates do not, nor does
group or layer norm, which divides by a deviation that moves with the weights before it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode, resolve_name

from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import mode

PIECEWISE_LAYERS = (nn.Conv2d, nn.Linear, _BatchNorm)
"""Layers that may have parameters."""
WEIGHTED = {"conv2d", "linear", "batch_norm"}
"""What these call with their parameters; batch norm with its running statistics only."""
PIECEWISE = {
    "relu", "relu6", "leaky_relu", "hardtanh", "max_pool2d", "max_pool2d_with_indices", "avg_pool2d",
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices", "interpolate", "pad",
    "mean", "sum", "amax", "max", "add", "iadd", "radd", "sub", "isub", "rsub", "neg", "cat", "stack",
    "flatten", "reshape", "view", "expand", "repeat", "permute", "transpose", "squeeze", "unsqueeze",
    "contiguous", "clone", "getitem", "dropout",
}  # fmt: skip
"""Other functions that are piecewise linear in all that they are given."""
ABOUT = {"get", "size", "dim"}
"""What asks for a tensor's shape or type."""
SCALED = {"mul", "imul", "rmul", "div", "truediv"}
"""Functions that are linear where one of their arguments is a plain number."""


def why_not_piecewise_linear(module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor) -> str | None:
    """What keeps a module from being piecewise linear in each layer, in a few words; None where it is.

    tensors: its parameters and buffers. inputs: a batch [n, ...] that it takes; one pass in eval mode shows
    which functions are called.
    """
    name = type(module).__name__
    layers = {path: layer for path, layer in module.named_modules() if list(layer.parameters(recurse=False))}
    for path, layer in layers.items():
        if (reason := _unknown(layer)) is not None:
            return f"{name} has {type(layer).__name__} ({path}){reason}"
    weights = [id(tensor) for layer in layers.values() for tensor in layer.parameters(recurse=False)]
    if len(set(weights)) < len(weights):
        return f"{name} uses the same weights in two layers"
    calls: Counter = Counter()
    hooks = [
        layer.register_forward_pre_hook(lambda *_, path=path: calls.update([path]))
        for path, layer in layers.items()
    ]
    seen = _Functions({id(tensors[path]) for path, _ in module.named_parameters()})
    try:
        with mode(module, training=False), torch.no_grad(), seen:
            logits = functional_call(module, dict(tensors), (inputs,), strict=True)
    finally:
        for hook in hooks:
            hook.remove()
    if seen.refused:
        return f"{name} {seen.refused}"
    if logits.ndim != 2:
        return f"{name} predicts more than one label for a sample"
    twice = [path for path, count in calls.items() if count > 1]
    return f"{name} calls {twice[0]} several times" if twice else None


def check_piecewise_linear(
    module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor, what: str
) -> None:
    """Raise FedscapeError with the reason where a module is not; `what` needs it (`trace: exact`, say)."""
    if reason := why_not_piecewise_linear(module, tensors, inputs):
        raise FedscapeError(
            f"{what} needs a network that is piecewise linear in each layer's weights, built of Conv2d, "
            f"Linear and BatchNorm in eval mode; {reason}"
        )


def _unknown(layer: nn.Module) -> str | None:
    """Why a layer with parameters is none of those that the exact diagonal knows; None if it is one."""
    if not isinstance(layer, PIECEWISE_LAYERS):
        return ""
    if isinstance(layer, _BatchNorm) and not layer.track_running_stats:
        return " without running statistics"
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        return " in groups"
    return None


class _Functions(TorchFunctionMode):
    """Notes the first function called that is not piecewise linear in what it is given.

    weights: ids of the parameters, which only their layers may touch.
    """

    def __init__(self, weights: Set[int]):
        super().__init__()
        self.weights = weights
        self.refused: str | None = None

    def __torch_function__(
        self, function: Callable, types: object, args: Sequence = (), kwargs: Mapping | None = None
    ) -> object:
        kwargs = kwargs or {}
        # `torch.Tensor.__add__`, `torch.nn.functional._max_pool2d`, ...
        name = (resolve_name(function) or function.__name__).split(".")[-1].strip("_")
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if name not in WEIGHTED | ABOUT and not self.weights.isdisjoint(map(id, tensors)):
            self.refused = self.refused or "uses weights outside of their layer"
        if not (name in WEIGHTED | PIECEWISE | ABOUT or (name in SCALED and len(tensors) == 1)):
            self.refused = self.refused or f"calls {name}"
        return function(*args, **kwargs)
