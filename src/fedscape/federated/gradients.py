"""Gradients of clients' losses: one client at a time, or several stacked in one pass."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.modules.batchnorm import _BatchNorm

from fedscape.checkpoints.layout import Layout, buffers_of, layout_of, parameters_of
from fedscape.evaluation.evaluate import laid_out
from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, Context, Rule
from fedscape.federated.state import ModelState


class SequentialGradient:
    """One client at a time, by ordinary backpropagation.

    The module's tensors become views of the vectors `state`, and its gradients views of `gradient` [P], so
    that one copy loads a client's model.
    """

    def __init__(self, module: nn.Module, precision: str = "fp32"):
        self.network = Network(module)
        self.layout = layout_of(module)
        self.state = ModelState.of(module)
        self.gradient = torch.zeros_like(self.state.parameters)
        self._half = precision == "bf16"
        tensors = self.state.named(self.layout)
        gradients = parameters_of(self.gradient, self.layout)
        for name, parameter in self.network.own_parameters.items():
            parameter.data = tensors[name]
            parameter.grad = gradients[name]
        for name, buffer in module.named_buffers():
            buffer.data = tensors[name]

    def __call__(self, rule: Rule, batch: Batch, client: Client, context: Context) -> Tensor:
        """The loss of the model in `state` on one batch, detached; its gradient is then in `gradient`."""
        self.gradient.zero_()
        batch = batch._replace(inputs=laid_out(batch.inputs))
        with autocast(batch.inputs.device, self._half):
            loss = rule.loss(self.network, self.network.own_parameters, batch, client, context)
        loss.backward()
        return loss.detach()


class StackedGradient:
    """Several clients at once: the same loss, vectorised over a leading dimension of clients."""

    def __init__(self, module: nn.Module, layout: Layout, precision: str = "fp32"):
        self.network = Network(module)
        self.layout = layout
        self._half = precision == "bf16"

    def __call__(
        self, rule: Rule, models: ModelState, batch: Batch, client: Client, context: Context, out: Tensor
    ) -> Tensor:
        """Losses [A] of the models, whose vectors are stacked to [A, ...]; gradients [A, P] go into `out`.

        All tensors of `batch` and `client` have the clients as first dimension. Buffers are updated in place.
        """
        views = buffers_of(models.buffers, models.counters, self.layout)
        # Batch norm's batching rule updates statistics in place only where they are contiguous.
        buffers = {name: view.contiguous() for name, view in views.items()}

        def loss(
            parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], batch: Batch, client: Client
        ) -> Tensor:
            network = self.network.with_buffers(buffers)
            with autocast(batch.inputs.device, self._half):  # not of the backward pass
                return rule.loss(network, parameters, batch, client, context)

        # The lanes do not depend on each other, so the gradient of their losses' sum is each one's own. (Not
        # `torch.func.grad`, which imports a compiler for seconds at its first call.)
        parameters = {
            name: view.detach().requires_grad_()
            for name, view in parameters_of(models.parameters, self.layout).items()
        }
        on_cpu = models.parameters.device.type == "cpu"
        with _float32_batch_norm(self.network.module, self._half and on_cpu):
            losses = vmap(loss)(parameters, buffers, batch, client)
        gradients = torch.autograd.grad(losses.sum(), list(parameters.values()), materialize_grads=True)
        torch.cat([gradient.flatten(1) for gradient in gradients], dim=1, out=out)
        for name, view in views.items():
            view.copy_(buffers[name])
        return losses.detach()


def autocast(device: torch.device, enabled: bool) -> torch.autocast:
    """Convolutions and matrix products in bfloat16."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


@contextmanager
def _float32_batch_norm(module: nn.Module, needed: bool) -> Iterator[None]:
    """Float32 inputs for batch norm, if needed: its batching rule on CPUs refuses bfloat16 inputs beside
    float32 statistics."""
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)] if needed else []
    hooks = [layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),)) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
