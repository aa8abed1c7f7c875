"""Federated averaging as one writes it by hand in PyTorch: what `engine.py` compares fedscape with.

Two loops over clients, and a file that holds all of a run's work as plain tensors. Nothing of fedscape's
engine is used, only its network, which every one of them trains; so this file also works beside Flower, in an
environment that has PyTorch and NumPy alone.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from fedscape.models.build import random_model

EVALUATION_BATCH = 250
State = dict[str, Tensor]
Order = Callable[[int, int], np.random.Generator]
"""(round, client) -> generator that draws the client's sample orders in that round."""


@dataclass(frozen=True)
class Task:
    """All work of a run: who has which samples, the model at the start, how to train."""

    images: Tensor  # uint8 [n, C, H, W]
    labels: Tensor  # int64 [n]
    mean: Tensor  # [C], of the images scaled to [0, 1]
    std: Tensor  # [C], likewise
    classes: int
    clients: list[Tensor]  # per client the positions of its samples, int64
    initial: State
    model: str
    model_settings: dict
    rounds: int
    epochs: int  # local epochs in a round
    batch_size: int
    lr: float
    momentum: float

    @property
    def trained(self) -> int:
        """Samples that are trained on in all rounds, each as often as it is."""
        return sum(map(len, self.clients)) * self.epochs * self.rounds

    def save(self, path: Path) -> None:
        torch.save(asdict(self), path)


@cache
def open_task(path: str | Path, device: str = "cpu") -> Task:
    """Read a task once per process, its data and weights on the device."""
    return Task(**torch.load(path, weights_only=True, map_location=device))


def network(task: Task) -> nn.Module:
    """The network with its weights at the start."""
    shape = tuple(task.images.shape[1:])
    module = random_model(task.model, task.model_settings, shape, task.classes, 0).to(task.images.device)
    module.load_state_dict(task.initial)
    return module


def normalised(task: Task, images: Tensor) -> Tensor:
    """uint8 images -> float32."""
    return (images.float() / 255 - task.mean[:, None, None]) / task.std[:, None, None]


def tensor_loop(task: Task, order: Order | None = None) -> State:
    """No DataLoader: batches are rows of the uint8 images, normalised as they are needed.

    order: draws the sample orders; by default `torch.randperm` does.
    """
    module, state = network(task), task.initial
    for number in range(1, task.rounds + 1):
        mean = {}
        for client, positions in enumerate(task.clients):
            module.load_state_dict(state)
            images, labels = task.images[positions], task.labels[positions]
            draw = order(number, client) if order else None
            _train_on_tensors(task, module, images, labels, draw)
            _add(mean, module, len(positions) / sum(map(len, task.clients)))
        state = mean
    return state


def _train_on_tensors(
    task: Task, module: nn.Module, images: Tensor, labels: Tensor, draw: np.random.Generator | None
) -> None:
    optimiser = torch.optim.SGD(module.parameters(), lr=task.lr, momentum=task.momentum)
    module.train()
    for _ in range(task.epochs):
        drawn = torch.from_numpy(draw.permutation(len(labels))) if draw else torch.randperm(len(labels))
        for rows in drawn.to(labels.device).split(task.batch_size):
            optimiser.zero_grad()
            cross_entropy(module(normalised(task, images[rows])), labels[rows]).backward()
            optimiser.step()


def loader_loop(task: Task) -> State:
    """The same with a shuffling DataLoader per client."""
    module, state = network(task), task.initial
    loaders = [client_loader(task, client) for client in range(len(task.clients))]
    for _ in range(task.rounds):
        mean = {}
        for loader in loaders:
            module.load_state_dict(state)
            train_with_loader(task, module, loader)
            _add(mean, module, len(loader.dataset) / sum(map(len, task.clients)))
        state = mean
    return state


def client_loader(task: Task, client: int) -> DataLoader:
    """A DataLoader over the client's normalised images, in this process."""
    positions = task.clients[client]
    samples = TensorDataset(normalised(task, task.images[positions]), task.labels[positions])
    return DataLoader(samples, batch_size=task.batch_size, shuffle=True, num_workers=0)


def train_with_loader(task: Task, module: nn.Module, loader: DataLoader) -> float:
    """Local epochs of one client; returns the mean loss of the steps."""
    optimiser = torch.optim.SGD(module.parameters(), lr=task.lr, momentum=task.momentum)
    module.train()
    total = 0.0
    for _ in range(task.epochs):
        for images, labels in loader:
            optimiser.zero_grad()
            loss = cross_entropy(module(images), labels)
            loss.backward()
            optimiser.step()
            total += loss.item()
    return total / (task.epochs * len(loader))


def _add(mean: State, module: nn.Module, weight: float) -> None:
    """Add a client's state_dict to the weighted mean."""
    for name, tensor in module.state_dict().items():
        mean[name] = mean.get(name, 0) + weight * tensor


def final_loss(task: Task, state: State) -> float:
    """Mean cross-entropy over all clients' samples."""
    module = network(task)
    module.load_state_dict(state)
    module.eval()
    with torch.no_grad():
        losses = [
            cross_entropy(module(normalised(task, images)), labels, reduction="sum").item()
            for images, labels in zip(
                task.images.split(EVALUATION_BATCH), task.labels.split(EVALUATION_BATCH), strict=True
            )
        ]
    return sum(losses) / len(task.labels)
