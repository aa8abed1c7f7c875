"""The exact diagonal of the Hessian, and with it every layer's trace, without a Hessian product.

For a network that is piecewise linear in each layer's parameters (`piecewise`) the diagonal is that of the
Gauss-Newton matrix, which per-sample gradients give:

    diag(H) = 1/N sum_n sum_c p_c(x_n) (d log p_c(x_n) / d theta)^2

(Schraudolph, Fast Curvature Matrix-Vector Products, 2002, for the matrix; Dangel et al., BackPACK, 2020, for
per-sample gradients from a layer's input and the derivative by its output). The labels have no part in it.
It costs about as much as three to five products with 10 classes, and grows with their number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import pad, unfold
from torch.nn.modules.batchnorm import _BatchNorm

from fedscape.checkpoints.layout import Layout, parameters_of
from fedscape.curvature.piecewise import PIECEWISE_LAYERS, check_piecewise_linear
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import SampleSet, mode
from fedscape.evaluation.loss import cross_entropies

PATCH_BYTES = 512 << 20
"""Memory for the inputs of all layers, of convolutions laid out patch by patch: it bounds the samples of a
pass."""
GRADIENT_BYTES = 256 << 20
"""Memory for per-sample gradients of one layer's weights: it bounds how many samples are squared at once."""


@dataclass
class _Call:
    """What a layer has taken and given in one pass."""

    layer: nn.Module
    inputs: (
        Tensor  # of a convolution [n, patches, K]; of batch norm normalised; of a linear layer as they are
    )
    output: Tensor


def exact_diagonal(
    module: nn.Module, layout: Layout, parameters: Tensor, buffers: dict[str, Tensor], data: SampleSet
) -> Tensor:
    """diag(H) of the mean cross-entropy in eval mode: float64 [P], in the layout's order, all >= 0.

    parameters: the point [P]; computed in their type, added up in float64. Memory is bounded whatever the
    number of samples. Raises FedscapeError, with the reason, for a network that is not piecewise linear, and
    for data with another loss.
    """
    if data.loss is not cross_entropies:
        raise FedscapeError("an exact diagonal needs cross-entropy as the loss; other losses have estimates")
    parameters = parameters.detach()
    tensors = {**parameters_of(parameters, layout), **buffers}
    sample = data.taken(slice(0, 1))
    check_piecewise_linear(module, tensors, sample.to(parameters.dtype), "an exact diagonal")
    calls, _ = _run(module, tensors, sample.to(parameters.dtype))
    per_sample = sum(call.inputs.nbytes for call in calls.values())
    batch_size = max(1, min(data.batch_size, PATCH_BYTES // per_sample))
    names = {
        path: [f"{path}.{tensor}" if path else tensor for tensor in ("weight", "bias")] for path in calls
    }
    diagonal = torch.zeros(layout.parameter_count, dtype=torch.float64, device=parameters.device)
    parts = parameters_of(diagonal, layout)
    for start in range(0, len(data.labels), batch_size):
        inputs = data.taken(slice(start, start + batch_size))
        calls, logits = _run(module, tensors, inputs.to(parameters.dtype))
        outputs = [call.output for call in calls.values()]
        shares = logits.detach().softmax(dim=1)
        for label in range(logits.shape[1]):
            # sqrt(p_c) d log p_c / d logits
            direction = -shares
            direction[:, label] += 1
            direction *= shares[:, label : label + 1].sqrt()
            slopes = torch.autograd.grad(
                logits, outputs, direction, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for (path, call), slope in zip(calls.items(), slopes, strict=True):
                squares = _squares(call, slope)
                for name, square in zip(names[path], squares, strict=False):
                    if name in parts:  # a layer may have no bias
                        parts[name] += square.reshape(parts[name].shape)
    return diagonal / len(data.labels)


def _run(module: nn.Module, tensors: dict[str, Tensor], inputs: Tensor) -> tuple[dict[str, _Call], Tensor]:
    """One pass in eval mode: what each layer with parameters took and gave, by name, and the logits."""
    calls: dict[str, _Call] = {}

    def note(path: str) -> Callable:
        def hook(layer: nn.Module, taken: tuple[Tensor, ...], output: Tensor) -> Tensor:
            # The first layer's output is where the graph begins; parameters are constants here.
            output = output if output.requires_grad else output.detach().requires_grad_()
            calls[path] = _Call(layer, _laid_out(layer, taken[0].detach()), output)
            # A copy is handed on, because what follows may change it in place (ReLU).
            return output.clone()

        return hook

    hooks = [
        layer.register_forward_hook(note(path))
        for path, layer in module.named_modules()
        if isinstance(layer, PIECEWISE_LAYERS) and list(layer.parameters(recurse=False))
    ]
    try:
        with mode(module, training=False), torch.enable_grad():
            logits = functional_call(module, tensors, (inputs,), strict=True)
    finally:
        for hook in hooks:
            hook.remove()
    return calls, logits


def _laid_out(layer: nn.Module, inputs: Tensor) -> Tensor:
    """A layer's inputs as its weights see them."""
    if isinstance(layer, nn.Conv2d):
        # The layer's own way to pad, because it knows about padding modes and words such as `same`.
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        padded = pad(inputs, layer._reversed_padding_repeated_twice, mode)
        return unfold(padded, layer.kernel_size, layer.dilation, stride=layer.stride).transpose(1, 2)
    if isinstance(layer, _BatchNorm):
        mean, variance, shape = layer.running_mean, layer.running_var, (-1, *[1] * (inputs.ndim - 2))
        if mean is None or variance is None:
            raise ValueError("batch norm without running statistics")
        return (inputs - mean.view(shape)) * (variance.view(shape) + layer.eps).rsqrt()
    return inputs


def _squares(call: _Call, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Squared per-sample gradients of a layer's weight and bias, summed over the samples.

    slope: derivative by the layer's output, of its shape.
    """
    inputs = call.inputs
    if isinstance(call.layer, nn.Linear):
        if inputs.ndim == 2:
            # The square of an outer product is the outer product of the squares.
            squares = slope.square()
            return squares.T @ inputs.square(), squares.sum(dim=0)
        inputs, slope = inputs.flatten(1, -2), slope.flatten(1, -2).transpose(1, 2)
    slope = slope.reshape(*slope.shape[:2], -1)  # [n, channels, places]
    bias = slope.sum(dim=2).square().sum(dim=0)
    if isinstance(call.layer, _BatchNorm):
        return (slope * inputs.reshape(slope.shape)).sum(dim=2).square().sum(dim=0), bias
    step = max(1, GRADIENT_BYTES // (slope.shape[1] * inputs.shape[2] * slope.element_size()))
    squares = (
        torch.bmm(slopes, patches).square_().sum(dim=0)
        for slopes, patches in zip(slope.split(step), inputs.split(step), strict=True)
    )
    return reduce(torch.add, squares), bias
