"""Running statistics of batch norm: which networks keep them, and how they are recalibrated."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from fedscape.data.storage import IMAGE
from fedscape.evaluation.evaluate import CPU_BATCH, SampleSet, forward_batch_size, mode
from fedscape.jobs.streams import stream


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Eval mode, with the batch-norm layers alone in train mode: they take the statistics of each batch."""
    with mode(module, training=False):
        for layer in module.modules():
            if isinstance(layer, _BatchNorm):
                layer.train()
        yield


def has_batch_statistics(module: nn.Module) -> bool:
    """Whether the module keeps running statistics, so that a batch-norm policy means something."""
    return bool(_layers(module))


def recalibrated(
    module: nn.Module, parameters: dict[str, Tensor], buffers: dict[str, Tensor], data: SampleSet
) -> dict[str, Tensor]:
    """New buffers: batch-norm statistics of `parameters` measured afresh in one pass over the data.

    Every batch counts by its samples, as in `update_bn` of Garipov et al. (Loss Surfaces, Mode Connectivity,
    2018). What is averaged is the variance within batches, so they must be alike: of a fixed size on every
    device, dealt by a fixed permutation, because data sets may be sorted by class or writer. Only the
    batch-norm layers are in train mode. Other buffers are copied.
    """
    fresh = {name: tensor.clone() for name, tensor in buffers.items()}
    layers = _layers(module)
    momenta = {name: layer.momentum for name, layer in layers.items()}
    for name in layers:
        prefix = f"{name}." if name else ""
        fresh[f"{prefix}running_mean"].zero_()
        fresh[f"{prefix}running_var"].fill_(1)
        fresh[f"{prefix}num_batches_tracked"].zero_()
    seen = 0
    try:
        with batch_statistics(module), torch.no_grad():
            for rows in _mixed_batches(data):
                seen += len(rows)
                for layer in layers.values():
                    layer.momentum = len(rows) / seen
                functional_call(module, {**parameters, **fresh}, (data.taken(rows),), strict=True)
    finally:
        for name, layer in layers.items():
            layer.momentum = momenta[name]
    return fresh


def _mixed_batches(data: SampleSet) -> tuple[Tensor, ...]:
    """The set's positions in a fixed random order, in batches whose sizes differ by one at most."""
    count, shape = len(data.labels), data.shape
    order = torch.from_numpy(stream(0, "recalibration").permutation(count)).to(data.labels.device)
    # No fewer large images: the statistics of a few are no estimate.
    batch_size = CPU_BATCH if len(shape) == IMAGE else forward_batch_size(shape, torch.device("cpu"))
    return order.tensor_split(-(-count // batch_size))


def _layers(module: nn.Module) -> dict[str, _BatchNorm]:
    """The layers that keep running statistics, by name."""
    layers = ((name, layer) for name, layer in module.named_modules() if isinstance(layer, _BatchNorm))
    return {name: layer for name, layer in layers if layer.track_running_stats}
