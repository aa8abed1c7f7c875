"""Tiny networks of every kind with random samples, in float64, and their dense Hessians by torch.func."""

import warnings
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian
from torch.nn.functional import cross_entropy

from fedscape.checkpoints.layout import Layout, parameters_of
from fedscape.evaluation.eigenvalues import state_of
from fedscape.evaluation.evaluate import EvaluationSet, prepared
from fedscape.models.build import random_model

SMALL = (1, 4, 4)
CLASSES = 3
STEP = 1e-5  # of central differences


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )


def batch_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 2, padding="same", padding_mode="circular"), nn.BatchNorm2d(2), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 4, bias=False), nn.BatchNorm1d(4), nn.LeakyReLU(),
        nn.Linear(4, 3),
    )  # fmt: skip


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def residual() -> nn.Module:
    return random_model("resnet", {"blocks": [1, 1], "width": 2}, SMALL, CLASSES, 0)


def bottleneck() -> nn.Module:
    settings = {"blocks": [1], "block": "bottleneck", "width": 2, "stem": "imagenet", "shortcut": "pad"}
    return random_model("resnet", settings, SMALL, CLASSES, 0)


def places() -> nn.Module:
    """A linear layer over the rows of an image, each by itself."""
    return nn.Sequential(nn.Flatten(1, 2), nn.Linear(4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def group_norm() -> nn.Module:
    settings = {"blocks": [1, 1], "width": 2, "norm": "group", "groups": 2}
    return random_model("resnet", settings, SMALL, CLASSES, 0)


def gelu() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.GELU(), nn.Linear(4, 3))


def gpt() -> nn.Module:
    return random_model("gpt", {"blocks": 1, "heads": 2, "width": 4}, (4,), CLASSES, 0)


PIECEWISE = (conv, batch_norm, linear, residual, bottleneck, places)
OTHERS = (group_norm, gelu, gpt)


@dataclass(frozen=True)
class Curved:
    """A network at a point in float64, what its loss is the mean over, and the Hessian [P, P] of that."""

    module: nn.Module
    layout: Layout
    parameters: Tensor
    buffers: dict[str, Tensor]
    data: EvaluationSet
    dense: Tensor

    @property
    def arguments(self) -> tuple:
        """What `HessianProduct` and `exact_diagonal` take."""
        return self.module, self.layout, self.parameters, self.buffers, self.data

    @property
    def inputs(self) -> Tensor:
        """All samples as the network takes them."""
        return of_network(self.data)


def of_network(data: EvaluationSet) -> Tensor:
    inputs = prepared(data.inputs, data.mean, data.std)
    return inputs.double() if inputs.is_floating_point() else inputs


@cache
def curved(build, samples: int = 11) -> Curved:
    """The network of one of the functions above; its running statistics are those of no batch."""
    torch.manual_seed(0)
    module = build()
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        for one in module.parameters():
            one.add_(0.3 * torch.randn_like(one))  # no zero biases, no symmetric norms
    tokens = build is gpt
    inputs = torch.randint(0, CLASSES, (samples, 4)) if tokens else torch.randint(0, 256, (samples, *SMALL))
    data = EvaluationSet(
        inputs=inputs.to(torch.int32 if tokens else torch.uint8),
        labels=torch.randint(0, CLASSES, (samples, 4) if tokens else (samples,)),
        mean=torch.tensor([] if tokens else [0.5]),
        std=torch.tensor([] if tokens else [0.25]),
        batch_size=4,
    )
    layout, vector, buffers = state_of(module)
    buffers = {
        name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in buffers.items()
    }
    module.eval()

    def loss(theta: Tensor) -> Tensor:
        logits = functional_call(module, {**parameters_of(theta, layout), **buffers}, (of_network(data),))
        return cross_entropy(logits, data.labels)

    point = vector.double()
    if build is gpt:
        # Forward mode through layer norm's backward gives a matrix that is not even symmetric (torch 2.15).
        steps = STEP * torch.eye(len(point), dtype=torch.float64)
        dense = torch.stack([grad(loss)(point + one) - grad(loss)(point - one) for one in steps]) / (2 * STEP)
    else:
        with warnings.catch_warnings():
            # Forward mode loads PyTorch's own scripted decompositions, and scripting is deprecated.
            warnings.simplefilter("ignore", FutureWarning)
            dense = hessian(loss)(point)
    module.train()  # what is measured must not depend on the mode that the module is in
    return Curved(module, layout, point, buffers, data, dense)
