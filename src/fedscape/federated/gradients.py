"""Gradients of clients' losses: one client at a time, or several stacked in one pass."""

import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map

from fedscape.checkpoints.layout import Layout, buffers_of, layout_of, parameters_of
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import laid_out
from fedscape.federated.network import Network
from fedscape.federated.rule import Batch, Client, Context, Rule
from fedscape.federated.state import ModelState

ON_VALUES = ("data-dependent control flow", "calling .item()", "dynamic shape")
"""What PyTorch says of a loss whose steps, not only whose value, depend on what a tensor holds."""


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
        Raises FedscapeError for a loss that branches on the values of a tensor.
        """
        views = buffers_of(models.buffers, models.counters, self.layout)
        # Batch norm's batching rule updates statistics in place only where they are contiguous.
        buffers = {name: view.contiguous() for name, view in views.items()}
        # The lanes do not depend on each other, so the gradient of their losses' sum is each one's own. (Not
        # `torch.func.grad`, which imports a compiler for seconds at its first call.)
        parameters = {
            name: view.detach().requires_grad_()
            for name, view in parameters_of(models.parameters, self.layout).items()
        }
        losses = self._losses(rule, parameters, buffers, batch, client, context)
        gradients = torch.autograd.grad(losses.sum(), list(parameters.values()), materialize_grads=True)
        torch.cat([gradient.flatten(1) for gradient in gradients], dim=1, out=out)
        for name, view in views.items():
            view.copy_(buffers[name])
        return losses.detach()

    def check(self, rule: Rule, model: ModelState, batch: Batch, client: Client, context: Context) -> None:
        """Refuse, as a pass of several clients would, a loss that branches on the values of a tensor.

        Of one client's step, which changes nothing here: so a rule is refused whatever the number of lanes.
        """
        parameters, buffers, batch, client = tree_map(
            lambda tensor: tensor.detach().clone()[None],
            (
                parameters_of(model.parameters, self.layout),
                buffers_of(model.buffers, model.counters, self.layout),
                batch,
                client,
            ),
        )
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._losses(rule, parameters, buffers, batch, client, context)
            except FedscapeError:
                raise
            except Exception:
                return  # no fault of the rule's that the step itself does not show

    def _losses(
        self,
        rule: Rule,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        batch: Batch,
        client: Client,
        context: Context,
    ) -> Tensor:
        def loss(
            parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], batch: Batch, client: Client
        ) -> Tensor:
            network = self.network.with_buffers(buffers)
            with autocast(batch.inputs.device, self._half):  # not of the backward pass
                return rule.loss(network, parameters, batch, client, context)

        on_cpu = batch.inputs.device.type == "cpu"
        with _float32_batch_norm(self.network.module, self._half and on_cpu):
            try:
                return vmap(loss)(parameters, buffers, batch, client)
            except RuntimeError as error:
                if not any(words in str(error) for words in ON_VALUES):
                    raise
                raise FedscapeError(_on_values(error)) from None


def autocast(device: torch.device, enabled: bool) -> torch.autocast:
    """Convolutions and matrix products in bfloat16."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def _on_values(error: RuntimeError) -> str:
    """Where a loss, or the network in it, branches on the values of a tensor, and what to write instead."""
    frames = [
        (Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_globals["__name__"].startswith("torch.")
    ]
    file, line = frames[-1]
    shown = file.relative_to(Path.cwd()) if Path.cwd() in file.parents else file
    return (
        f"{shown}:{line}: branches on the values of a tensor (`if`, `.item()`, a selection by a mask), which "
        "differ between the clients that train in one pass; use torch.where, or multiply by the mask"
    )


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
