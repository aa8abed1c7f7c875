"""A client's network as a rule's loss runs it: whole, slimmed, without some blocks, or in part."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd

from fedscape.errors import FedscapeError
from fedscape.models.build import classifier_names
from fedscape.models.residual import ResidualBlock
from fedscape.models.slim import slimmed

Tensors = Mapping[str, Tensor]
IN_TWO_MODES = (_BatchNorm, _DropoutNd)
"""Layers that do one thing in training and another in evaluation."""


class Anatomy:
    """The parts of a network. Looked up once for all clients: walking through the modules of a
    deep network takes as long as some of its layers."""

    def __init__(self, module: nn.Module):
        self.module = module
        self.kind = type(module).__name__
        self.blocks = [layer for layer in module.modules() if isinstance(layer, ResidualBlock)]
        self.in_two_modes = [layer for layer in module.modules() if isinstance(layer, IN_TWO_MODES)]

    @cached_property
    def classifier(self) -> str:
        """Name of the last linear layer; without any, of the last convolution."""
        return classifier_names(self.module)[0].rpartition(".")[0]

    @cached_property
    def takes_any_size(self) -> bool:
        """Whether the map is averaged before the first linear layer, so that images may have any size."""
        layers = [layer for layer in self.module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        for before, layer in pairwise(layers):
            if isinstance(before, nn.Conv2d) and isinstance(layer, nn.Linear):
                return layer.in_features <= before.out_channels
        return True


class Network:
    """Runs a module in train mode with the parameters of one client.

    buffers: the client's buffers by name, which batch norm updates in place; None for the module's own.
    Calls are stateless, and fit for `torch.func` transforms.
    """

    def __init__(self, module: nn.Module, buffers: Tensors | None = None):
        self.module = module
        self.own_parameters = dict(module.named_parameters())
        self._buffers = buffers
        self._anatomy = Anatomy(module)

    def with_buffers(self, buffers: Tensors) -> "Network":
        """The same network for a client whose buffers these are."""
        other = copy(self)
        other._buffers = buffers
        return other

    @property
    def classifier(self) -> str:
        """Name of the last linear layer; without any, of the last convolution."""
        return self._anatomy.classifier

    @property
    def last_block(self) -> str:
        """Name of the network's last stage. A network that names none is a FedscapeError."""
        name = getattr(self.module, "last_block", None)
        if name is None:
            raise FedscapeError(f"{self._anatomy.kind} names no last block; use a model of kind resnet")
        return name

    @property
    def blocks(self) -> list[ResidualBlock]:
        """The residual blocks, first to last. A network without any is a FedscapeError."""
        if not self._anatomy.blocks:
            raise FedscapeError(f"{self._anatomy.kind} has no residual blocks; use a model of kind resnet")
        return self._anatomy.blocks

    def check_any_size(self) -> None:
        """Refuse a network that takes images of one size only.

        Slimmed, its first channels of a smaller map would meet the weights of others.
        """
        if not self._anatomy.takes_any_size:
            raise FedscapeError(
                f"{self._anatomy.kind} takes images of one size only; use a model of kind resnet"
            )

    def __call__(
        self,
        parameters: Tensors,
        images: Tensor,
        width: float = 1.0,
        scales: Sequence[float] | None = None,
    ) -> Tensor:
        """Logits float32 [b, classes] of normalised images.

        width: share of each layer's channels that takes part; below 1, batch norm uses the batch's statistics
        and updates none. scales: factor of each residual block's branch; 0 leaves the branch out.
        """
        with ExitStack() as changes:
            if width < 1:
                changes.enter_context(slimmed(self.module, width, keep=(self.classifier,)))
            if scales is not None:
                changes.enter_context(_scaled(self.blocks, scales))
            return self._run(self.module, "", parameters, images).float()

    def traced(self, parameters: Tensors, images: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, and the input and output of the submodule `name` on the way to them."""
        seen = []
        hook = self.module.get_submodule(name).register_forward_hook(
            lambda _, inputs, output: seen.append((inputs[0], output))
        )
        try:
            logits = self(parameters, images)
        finally:
            hook.remove()
        return logits, *seen[0]

    def part(self, parameters: Tensors, name: str, features: Tensor, width: float) -> Tensor:
        """Output of the submodule `name` alone, at a width below 1, for its input `features`."""
        with slimmed(self.module.get_submodule(name), width):
            return self._run(self.module.get_submodule(name), f"{name}.", parameters, features)

    def reference(
        self, parameters: Tensors, buffers: Tensors, images: Tensor, name: str, training: bool
    ) -> Tensor:
        """Input of the submodule `name` in another model, without gradient; the model is not changed.

        training: use the batch's statistics in batch norm, as in train mode, rather than the model's running
        ones.
        """
        network = self.with_buffers(buffers)
        statistics = frozen_statistics(self.module) if training else self._evaluating()
        with torch.no_grad(), statistics:
            return network.traced(parameters, images, name)[1]

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Eval mode for the layers that differ between the two modes."""
        for layer in self._anatomy.in_two_modes:
            layer.training = False
        try:
            yield
        finally:
            for layer in self._anatomy.in_two_modes:
                layer.training = True

    def _run(self, module: nn.Module, prefix: str, parameters: Tensors, inputs: Tensor) -> Tensor:
        if parameters is self.own_parameters:  # they are in the module already
            return module(inputs)
        tensors = {**parameters, **(self._buffers or {})}
        inner = {
            name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)
        }
        return functional_call(module, inner, (inputs,))


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norm uses the batch's statistics and updates no running ones."""
    norms = [layer for layer in module.modules() if isinstance(layer, _NormBase)]
    layers = [layer for layer in norms if layer.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


@contextmanager
def _scaled(blocks: Sequence[ResidualBlock], scales: Sequence[float]) -> Iterator[None]:
    for block, scale in zip(blocks, scales, strict=True):
        block.branch_scale = scale
    try:
        yield
    finally:
        for block in blocks:
            block.branch_scale = 1.0
