"""Lanes: where clients train.

A lane holds one model and trains one client after the other: reset to the global model, local steps, hand
back the result. This file has the single, sequential lane. Its model, gradient and momentum are flat vectors
[P] whose named views are the module's tensors, so a reset is one copy, an optimiser step a handful of vector
operations, and several lanes are the same vectors stacked to [L, P].
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from fedscape.errors import FedscapeError
from fedscape.federated.state import ModelState
from fedscape.models.evaluate import EvaluationSet, has_batch_statistics, normalise
from fedscape.models.layout import layout_of, parameters_of
from fedscape.streams import stream

Parameters = Mapping[str, Tensor]
Objective = Callable[[Parameters, Tensor, Tensor], Tensor]
"""(parameters, normalised images [b, C, H, W], labels [b]) -> scalar to minimise."""


class LocalTraining(Protocol):
    """The settings of a client's training; `study.training.TrainingSettings` explains each."""

    local_epochs: int
    batch_size: int
    lr: float
    momentum: float
    nesterov: bool
    weight_decay: float
    drop_last: bool


@dataclass(frozen=True)
class ClientTask:
    """One client's work in one round."""

    client: int
    positions: np.ndarray  # int64 [n]: the client's samples, as positions in the lane's images
    order: np.random.Generator  # draws the order of the samples, epoch by epoch
    keep_path: bool = False  # whether the result has the models between the epochs


@dataclass(frozen=True)
class ClientResult:
    """What a client hands back. `model` lies in the lane: use or copy it before the next client starts."""

    client: int
    samples: int  # samples the client has, its weight in the average
    loss: float  # mean of the objective over the samples of all local steps, each before its step
    model: ModelState
    path: tuple[ModelState, ...] = ()  # copies of the model after each epoch but the last, if asked for


def order_stream(order_seed: int, round_number: int, client: int) -> np.random.Generator:
    """The generator of a client's sample orders in a round."""
    return stream(order_seed, "order", round_number, client)


class Lane:
    """Trains one client at a time with SGD as `torch.optim.SGD` defines it.

    module: the network; its tensors become views of the lane's vectors. Every parameter takes every step: one
        that a batch does not reach has gradient zero, so momentum and weight decay go on for it.
    data: all clients' images and labels, on the device that trains.
    """

    def __init__(self, module: nn.Module, data: EvaluationSet, training: LocalTraining):
        self.module = module.to(data.images.device)
        self.data = data
        self.training = training
        self.layout = layout_of(module)
        self.state = ModelState.of(self.module)
        self.gradient = torch.zeros_like(self.state.parameters)
        self.momentum = torch.zeros_like(self.state.parameters)
        self._stepped = False  # whether `momentum` holds something
        self.parameters = dict(self.module.named_parameters())
        self._batch_statistics = has_batch_statistics(module)
        self._make_views()

    @property
    def device(self) -> torch.device:
        return self.data.images.device

    def _make_views(self) -> None:
        tensors = self.state.named(self.layout)
        gradients = parameters_of(self.gradient, self.layout)
        for name, parameter in self.parameters.items():
            parameter.data = tensors[name]
            parameter.grad = gradients[name]
        for name, buffer in self.module.named_buffers():
            buffer.data = tensors[name]

    def apply(self, parameters: Parameters, images: Tensor) -> Tensor:
        """Logits [b, classes] of normalised images with `parameters`, in train mode.

        Batch-norm layers update the client's running statistics.
        """
        if parameters is self.parameters:  # the module holds them already
            return self.module(images)
        return functional_call(self.module, parameters, (images,))

    def used_samples(self, samples: int) -> int:
        """How many of an epoch's samples take part in its steps.

        All of them, but for a short last batch with `drop_last`, and a last batch of one sample in a network
        with batch norm: the statistics of one sample are no estimate, and PyTorch refuses them where its map
        is one pixel.
        """
        left = samples % self.training.batch_size
        if left and self.training.drop_last:
            return samples - left
        if self._batch_statistics:
            return 0 if self.training.batch_size == 1 else samples - (left == 1)
        return samples

    def check(self, client: int, samples: int) -> None:
        """Refuse a client that could not take a single step."""
        if self.used_samples(samples) > 0:
            return
        batch = f"batch_size {self.training.batch_size}"
        if self.training.drop_last and samples < self.training.batch_size:
            raise FedscapeError(
                f"client {client} has {samples} samples and would never train with {batch} and "
                "drop_last: use a smaller batch_size, drop_last: false, or a partition with larger clients"
            )
        raise FedscapeError(
            f"client {client} has {samples} samples; with {batch} its batches have one sample, too few for "
            "batch norm: use batch_size >= 2 and clients of 2 samples or more, or a network without it"
        )

    def reset(self, model: ModelState) -> None:
        """Start from `model` with an empty optimiser."""
        self.state.copy_(model)
        self.momentum.zero_()
        self._stepped = False

    def resume(self, momentum: Tensor) -> None:
        """Go on with the momentum [P] of earlier steps; the model has been put in place by its names."""
        self.momentum.copy_(momentum)
        self._stepped = True

    def epoch(self, order: np.ndarray, objective: Objective) -> Tensor:
        """Step through the samples at positions `order` [n] once.

        Returns the sum of the objective over the samples used, float64 on the device: reading it would wait
        for the device in every epoch.
        """
        self.module.train()
        positions = torch.from_numpy(order[: self.used_samples(len(order))]).to(self.device)
        images, labels = self.data.images[positions], self.data.labels[positions]
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for start in range(0, len(positions), self.training.batch_size):
            rows = slice(start, start + self.training.batch_size)
            batch = normalise(images[rows], self.data.mean, self.data.std)
            self.gradient.zero_()
            loss = objective(self.parameters, batch, labels[rows])
            loss.backward()
            self._step()
            total.add_(loss.detach(), alpha=len(batch))
        return total

    @torch.no_grad()
    def _step(self) -> None:
        """One step of SGD, in the order of operations of `torch.optim.SGD`."""
        parameters, step = self.state.parameters, self.gradient
        if self.training.weight_decay:
            step.add_(parameters, alpha=self.training.weight_decay)
        if self.training.momentum:
            if self._stepped:
                self.momentum.mul_(self.training.momentum).add_(step)
            else:
                self.momentum.copy_(step)
                self._stepped = True
            if self.training.nesterov:
                step.add_(self.momentum, alpha=self.training.momentum)
            else:
                step = self.momentum
        parameters.add_(step, alpha=-self.training.lr)

    def train(
        self, start: ModelState, tasks: Sequence[ClientTask], objective: Objective
    ) -> Iterator[ClientResult]:
        """Train every task from `start`; results come as they are ready, in no promised order."""
        for task in tasks:
            self.reset(start)
            samples = len(task.positions)
            total, path = 0.0, []
            for epoch in range(self.training.local_epochs):
                if task.keep_path and epoch:
                    path.append(self.state.clone())
                total = total + self.epoch(task.positions[task.order.permutation(samples)], objective)
            loss = float(total) / (self.used_samples(samples) * self.training.local_epochs)
            yield ClientResult(task.client, samples, loss, self.state, tuple(path))
