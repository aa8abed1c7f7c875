"""REPAIR: a mixture of two models gets back the spread of activations that mixing takes away.

Jordan, Sedghi, Saukh, Entezari & Neyshabur, REPAIR: REnormalizing Permuted Activations for Interpolation
Repair, 2022: each channel that a convolution or a linear layer outputs, but for the logits, is scaled and
shifted until its mean and its standard deviation are the means of the two models' own. Align the models first
(`permuted`): channels that stand for different things have no statistics in common.

A layer's statistics are measured with all layers before it corrected, over all samples together, by a pass as
far as that layer: about half as many passes as there are layers. The authors' single pass, with batch norm in
train mode instead of corrections, normalises each batch by the batch's own statistics: the same of one batch,
nearly the same of large random ones, and wrong where samples are sorted.

For networks with running statistics nothing of this is needed: `fedscape.evaluation.batch_norm.recalibrated`.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from fedscape.errors import FedscapeError
from fedscape.evaluation.batch_norm import has_batch_statistics
from fedscape.evaluation.evaluate import SampleSet, laid_out, mode

STILL = 1e-6
"""Standard deviation, as a share of the mean's size, below which a channel is constant but for rounding."""


@dataclass(frozen=True)
class Correction:
    """What becomes of a layer's outputs: scale * output + shift, [C] each."""

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation (division by n) of each channel that a layer outputs, float64 [C]."""

    mean: Tensor
    std: Tensor


def check_repairable(module: nn.Module) -> None:
    """Refuse a network whose running statistics can be measured anew instead."""
    if has_batch_statistics(module):
        raise FedscapeError(
            f"REPAIR: {type(module).__name__} has batch norm; recalibrate its running statistics instead"
        )


def repair(
    module: nn.Module,
    mixture: Mapping[str, Tensor],
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    data: SampleSet,
) -> dict[str, Correction]:
    """Corrections by layer for `repaired`, in the order in which layers are computed.

    mixture: parameters and buffers by name of the network between `first` and `second`. data: samples on
    which all is measured; some thousands do. A channel that is constant in the mixture is only shifted.
    Raises FedscapeError for a network with running statistics, and for a layer that is called more than once.
    """
    check_repairable(module)
    ends = [output_statistics(module, tensors, data) for tensors in (first, second)]
    corrections: dict[str, Correction] = {}
    for layer in list(ends[0])[:-1]:
        with repaired(module, corrections):
            own = output_statistics(module, mixture, data, last=layer)[layer]
        mean, std = (
            (getattr(ends[0][layer], kind) + getattr(ends[1][layer], kind)) / 2 for kind in ("mean", "std")
        )
        scale = torch.where(own.std <= STILL * own.mean.abs(), 1.0, std / own.std)
        shift, like = mean - scale * own.mean, mixture[f"{layer}.weight"]
        corrections[layer] = Correction(scale.to(like), shift.to(like))
    return corrections


@contextmanager
def repaired(module: nn.Module, corrections: Mapping[str, Correction]) -> Iterator[None]:
    """A context in which the outputs of a module's layers are corrected, whatever tensors it is given.

    By hooks of the layers, because one without a bias has nowhere to put a shift; they act under
    `functional_call`, too.
    """
    layers = dict(module.named_modules())
    with ExitStack() as hooks:
        for name, correction in corrections.items():
            hooks.enter_context(layers[name].register_forward_hook(partial(_correct, correction)))
        yield


def output_statistics(
    module: nn.Module, tensors: Mapping[str, Tensor], data: SampleSet, last: str | None = None
) -> dict[str, Statistics]:
    """Statistics of what each convolution and linear layer outputs in eval mode, in the order of computation.

    tensors: parameters and buffers by name, in the place of the module's own. last: the layer up to which the
    network is computed; none: all of it.
    """
    sums: dict[str, _Sums] = {}
    called: set[str] = set()

    def observe(name: str, layer: nn.Module, _: tuple, output: Tensor) -> None:
        if name in called:
            raise FedscapeError(
                f"REPAIR: layer {name} is called more than once, with statistics of each call"
            )
        called.add(name)
        sums.setdefault(name, _Sums()).add(output.movedim(_axis(layer), 0).flatten(1))
        if name == last:
            raise _Reached

    with ExitStack() as hooks, mode(module, training=False), torch.no_grad():
        for name, layer in module.named_modules():
            if isinstance(layer, _ConvNd | nn.Linear):
                hooks.enter_context(layer.register_forward_hook(partial(observe, name)))
        for inputs, _ in data.batches():
            called.clear()
            with suppress(_Reached):
                functional_call(module, dict(tensors), (laid_out(inputs),), strict=True)
    return {name: layer_sums.statistics() for name, layer_sums in sums.items()}


class _Reached(Exception):
    """The last layer that is wanted has been computed."""


class _Sums:
    """Mean and squared deviations of channels, merged over batches as Chan, Golub & LeVeque (1983) do."""

    def __init__(self):
        self.count = 0
        self.mean = self.squares = torch.zeros((), dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Values [C, n] of one more batch."""
        variance, mean = torch.var_mean(values, dim=1, correction=0)
        count, apart = values.shape[1], mean.double() - self.mean
        total = self.count + count
        self.squares = self.squares + count * variance.double() + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    def statistics(self) -> Statistics:
        return Statistics(self.mean, (self.squares / self.count).sqrt())


def _axis(layer: nn.Module) -> int:
    """Which axis of a layer's outputs is the channels': the second of a convolution, the last of others."""
    return 1 if isinstance(layer, _ConvNd) else -1


def _correct(correction: Correction, layer: nn.Module, _: tuple, output: Tensor) -> Tensor:
    """A forward hook."""
    shape = [1] * output.ndim
    shape[_axis(layer)] = -1
    return output * correction.scale.view(shape) + correction.shift.view(shape)
