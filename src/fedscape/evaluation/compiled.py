"""The evaluation step compiled by `torch.compile`, for surfaces that are large enough to repay it.

The whole step, from a batch as the network takes it to the measures of its samples, with the weights as
inputs: one compilation serves all points of a surface, and PyTorch keeps it for later jobs on the machine.
Its kernels add up in another order, so losses differ from the uncompiled ones by rounding; a surface is
evaluated one way throughout. Never for training, which it slows down.
"""

import logging

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fedscape.errors import FedscapeError, reason
from fedscape.evaluation.evaluate import SampleSet, Step, evaluate, evaluation_step, mode
from fedscape.evaluation.loss import Loss
from fedscape.evaluation.prepared import PreparedSet
from fedscape.settings.evaluation import Compiled, Precision

COMPILE_SECONDS = 48.0
"""What compiling a ConvNet takes when nothing of it is kept (Zen 5, one core); with that it takes 4."""
FLOPS_PER_SECOND = 1e11
"""Of the uncompiled step on one core of that machine."""
SAVED = 1 - 1 / 1.3
"""Share of the time that the compiled step saves in float32 there."""
AGREE = {"fp32": 1e-5, "bf16": 1e-2}
"""Relative difference of the losses of one batch, at most; that of a whole set is smaller."""

log = logging.getLogger(__name__)


def chosen_step(
    asked: Compiled, module: nn.Module, data: SampleSet, precision: Precision, points: float
) -> Step:
    """What evaluates the batches of a surface: the compiled step or `evaluation_step`.

    asked: `auto` compiles on a CPU past the break-even, if that works on this machine and agrees with the
    uncompiled step on the data's first batch; `true` raises a FedscapeError where it does not. points: that
    the surface is expected to evaluate.
    """
    if asked is True:
        return _tried(module, data, precision)
    on_cpu = data.labels.device.type == "cpu"
    if asked is False or not on_cpu or seconds_saved(module, data, points) <= COMPILE_SECONDS:
        return evaluation_step
    try:
        return _tried(module, data, precision)
    except FedscapeError as error:
        log.warning("%s; evaluated without", error)
        return evaluation_step


def seconds_saved(module: nn.Module, data: SampleSet, points: float) -> float:
    """What the compiled step is expected to save: points x samples x cost of the model."""
    return SAVED * points * len(data.labels) * forward_flops(module, data) / FLOPS_PER_SECOND


def forward_flops(module: nn.Module, data: SampleSet) -> float:
    """Floating-point operations for one sample, by PyTorch's own count."""
    with FlopCounterMode(display=False) as counter, mode(module, training=False), torch.no_grad():
        module(data.taken(slice(0, 1)))
    return counter.get_total_flops()


def compiled_step() -> Step:
    """`evaluation_step`, compiled at its first batch; a shorter one is filled up and cut off again."""
    step = torch.compile(evaluation_step, dynamic=False)
    size = 0

    def whole(
        module: nn.Module, tensors: dict[str, Tensor], inputs: Tensor, labels: Tensor, loss: Loss
    ) -> Tensor:
        nonlocal size
        count = len(labels)
        size = max(size, count)
        if count < size:
            rows = torch.arange(size, device=labels.device) % count
            inputs, labels = inputs[rows], labels[rows]
        return step(module, tensors, inputs, labels, loss)[:, :count]

    return whole


def _tried(module: nn.Module, data: SampleSet, precision: Precision) -> Step:
    """The compiled step, which has evaluated a batch as it should; FedscapeError otherwise."""
    inputs, labels = next(iter(data.batches()))
    batch = PreparedSet(inputs, labels, len(labels), data.loss)
    parameters: dict[str, Tensor] = dict(module.named_parameters())
    given = module, parameters, dict(module.named_buffers()), batch, precision
    expected = evaluate(*given).loss
    step = compiled_step()
    try:
        found = evaluate(*given, step).loss
    except RuntimeError as error:
        raise FedscapeError(f"compiled: PyTorch cannot compile this network ({reason(error)})") from error
    if not abs(found - expected) <= AGREE[precision] * abs(expected):
        raise FedscapeError(
            f"compiled: a loss of {found:.7g} where the uncompiled step has {expected:.7g}; say "
            "`compiled: false`"
        )
    return step
