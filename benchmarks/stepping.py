"""Ways to make a step of several clients' training at once, for `lanes.py` to compare."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from runs import CLASSES
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy, unfold

from fedscape.checkpoints.layout import buffers_of, layout_of, parameters_of
from fedscape.evaluation.evaluate import normalise
from fedscape.federated.state import ModelState
from fedscape.models.build import random_model

LR, MOMENTUM = 0.01, 0.9
SAMPLES = 2_048  # images that batches are drawn from
DRAWN_STEPS = 16  # batches that are drawn beforehand; further steps begin again
WARM_UP_STEPS = 3  # before a CUDA graph is recorded


@dataclass(frozen=True)
class Model:
    """What each lane trains."""

    name: str
    shape: tuple[int, int, int]
    batch: int
    settings: dict = field(default_factory=dict)


class Lanes:
    """Stacked models and their data."""

    def __init__(self, model: Model, lanes: int, device: torch.device, precision: str):
        self.precision, self.lanes = precision, lanes
        self.module = random_model(model.name, model.settings, model.shape, CLASSES, 0).to(device)
        self.layout = layout_of(self.module)
        start = ModelState.of(self.module)
        self.state = ModelState(*(vector.repeat(lanes, 1) for vector in start.vectors))
        self.gradient = torch.zeros_like(self.state.parameters)
        self.momentum = torch.zeros_like(self.state.parameters)
        draw = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (SAMPLES, *model.shape), generator=draw).byte().to(device)
        self.labels = torch.randint(0, CLASSES, (SAMPLES,), generator=draw).to(device)
        self.mean, self.std = (torch.full((model.shape[0],), value, device=device) for value in (0.5, 0.3))
        self.order = torch.randint(0, SAMPLES, (DRAWN_STEPS, lanes, model.batch), generator=draw).to(device)
        self.rows = self.order[0].clone()  # where a CUDA graph reads which samples are next

    def tensors(self, lane: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One lane's parameters and its gradients, by name, and its buffers among the former: views."""
        state = ModelState(*(vector[lane] for vector in self.state.vectors))
        return state.named(self.layout), parameters_of(self.gradient[lane], self.layout)

    def batch(self) -> tuple[Tensor, Tensor]:
        """The samples in `rows`: images [lanes, b, C, H, W] and labels [lanes, b]."""
        return normalise(self.images[self.rows], self.mean, self.std), self.labels[self.rows]

    def half(self) -> torch.autocast:
        return torch.autocast(self.images.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def step(self, gradients: Callable[[Tensor, Tensor], None]) -> None:
        """One step of every lane; `gradients` writes into `gradient`."""
        gradients(*self.batch())
        self.momentum.mul_(MOMENTUM).add_(self.gradient)
        self.state.parameters.add_(self.momentum, alpha=-LR)


def one_after_another(
    lanes: Lanes, channels_last: bool = False, streams: bool = False
) -> Callable[[Tensor, Tensor], None]:
    """A module per lane; on CUDA each on its own stream if asked for."""
    modules, gradients = [], []
    for lane in range(lanes.lanes):
        module = copy.deepcopy(lanes.module).train()
        tensors, own = lanes.tensors(lane)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            tensor.data = tensors[name]
        modules.append(module)
        gradients.append(list(own.values()))
    side = [torch.cuda.Stream() for _ in modules] if streams else []

    def one(lane: int, images: Tensor, labels: Tensor) -> None:
        with lanes.half():
            loss = cross_entropy(modules[lane](images).float(), labels)
        with torch.no_grad():
            found = torch.autograd.grad(loss, list(modules[lane].parameters()))
            torch._foreach_copy_(gradients[lane], list(found))

    def all_lanes(images: Tensor, labels: Tensor) -> None:
        if channels_last:
            images = torch.stack([batch.contiguous(memory_format=torch.channels_last) for batch in images])
        if not streams:
            for lane in range(lanes.lanes):
                one(lane, images[lane], labels[lane])
            return
        main = torch.cuda.current_stream()
        for lane, stream in enumerate(side):
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                one(lane, images[lane], labels[lane])
        for stream in side:
            main.wait_stream(stream)

    return all_lanes


def stacked(lanes: Lanes, gemm: bool = False, compiled: bool = False) -> Callable[[Tensor, Tensor], None]:
    """One pass over a leading dimension of lanes."""
    module = copy.deepcopy(lanes.module).train()
    if gemm:
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                layer.forward = partial(convolve_by_product, layer)

    if lanes.precision == "bf16" and lanes.images.device.type == "cpu":
        # On CPUs that rule refuses bfloat16 inputs beside float32 statistics.
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))

    def loss(parameters: dict, buffers: dict, images: Tensor, labels: Tensor) -> Tensor:
        logits = functional_call(module, {**parameters, **buffers}, (images,))
        return cross_entropy(logits.float(), labels)

    gradient = vmap(grad(loss))
    if compiled:
        gradient = torch.compile(gradient, dynamic=False)
    parameters = parameters_of(lanes.state.parameters, lanes.layout)
    # Batch norm's batching rule updates statistics in place only where they are contiguous.
    buffers = buffers_of(lanes.state.buffers, lanes.state.counters, lanes.layout)
    buffers = {name: view.contiguous() for name, view in buffers.items()}

    def all_lanes(images: Tensor, labels: Tensor) -> None:
        with lanes.half():
            found = gradient(parameters, buffers, images, labels)
        flat = [found[name].reshape(lanes.lanes, -1) for name, _ in lanes.layout.parameters]
        torch.cat(flat, dim=1, out=lanes.gradient)

    return all_lanes


def convolve_by_product(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """A convolution [n, C, H, W] as one product of all patches with the weights."""
    kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
    height, width = (
        (side + 2 * beside - extent) // step + 1
        for side, extent, step, beside in zip(images.shape[2:], kernel, stride, padding, strict=True)
    )
    columns = unfold(images, kernel, padding=padding, stride=stride)  # [n, C * kernel, height * width]
    outputs = columns.transpose(1, 2).flatten(0, 1) @ layer.weight.flatten(1).t()
    if layer.bias is not None:
        outputs = outputs + layer.bias
    return outputs.view(len(images), height, width, -1).permute(0, 3, 1, 2)


WAYS = {
    "one after another": one_after_another,
    "one after another, channels last": partial(one_after_another, channels_last=True),
    "streams": partial(one_after_another, streams=True),
    "vmap": stacked,
    "gemm": partial(stacked, gemm=True),
    "vmap, compiled": partial(stacked, compiled=True),
    "gemm, compiled": partial(stacked, gemm=True, compiled=True),
}
REFERENCE = "one after another"
GRAPH = "graph: "


def stepper(way: str, lanes: Lanes) -> Callable[[int], None]:
    """A function that makes step number k."""
    gradients = WAYS[way.removeprefix(GRAPH)](lanes)
    once = partial(lanes.step, gradients)
    if way.startswith(GRAPH):
        once = recorded(lanes, once)

    def step(number: int) -> None:
        lanes.rows.copy_(lanes.order[number % DRAWN_STEPS])
        once()

    return step


def recorded(lanes: Lanes, once: Callable[[], None]) -> Callable[[], None]:
    """A step as a CUDA graph; the lanes are afterwards what they were before."""
    before = [tensor.clone() for tensor in (*lanes.state.vectors, lanes.momentum)]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP_STEPS):
            once()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        once()
    for tensor, value in zip((*lanes.state.vectors, lanes.momentum), before, strict=True):
        tensor.copy_(value)
    return graph.replay
