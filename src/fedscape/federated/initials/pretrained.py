"""A start from pre-training: the model is trained centrally on a proxy data set that no client has.

Plain SGD over all train images of the proxy, without augmentation, in the lane that trains clients. The
classifier is kept where the proxy has the run's classes; otherwise it is the random start's.
"""

import math
from dataclasses import asdict, dataclass
from types import SimpleNamespace

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy

from fedscape.data.storage import Dataset, open_dataset
from fedscape.errors import FedscapeError
from fedscape.federated.initial import InitialContext
from fedscape.federated.lanes import Lane
from fedscape.federated.progress import ProgressDisplay
from fedscape.federated.weights import load_weights, read_weights, write_weights
from fedscape.models.build import classifier_names, random_model
from fedscape.models.evaluate import EvaluationSet
from fedscape.streams import stream

STATE_SLOTS = ("epoch-0.safetensors", "epoch-1.safetensors")  # while one is written the other is committed


@dataclass(frozen=True)
class Settings:
    """The proxy and the training on it."""

    dataset: str  # name of the proxy data set
    epochs: int = 20  # passes over its train images
    batch_size: int = 64  # samples in a step
    lr: float = 0.01  # learning rate of SGD, constant
    momentum: float = 0.9  # of SGD
    weight_decay: float = 0.0  # L2 penalty, added to the gradient of each parameter

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.lr <= 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay must be >= 0, got {self.weight_decay}")


def weights(settings: Settings, context: InitialContext) -> dict[str, Tensor]:
    """The state_dict to start from.

    Raises FedscapeError where more than the classifier differs in shape, and where the training diverges.
    """
    proxy = open_dataset(context.proxy)
    classes = len(proxy.classes)
    module = random_model(context.model, dict(context.model_settings), proxy.shape, classes, context.seed)
    every_image = np.arange(len(proxy.train_labels))
    data = EvaluationSet.from_dataset(proxy, "train", every_image, context.device)
    training = SimpleNamespace(**asdict(settings), local_epochs=1, nesterov=False, drop_last=False)
    lane = Lane(module, data, training)
    lane.check(0, len(every_image))
    _train(lane, settings, context)
    return _transferred(module.state_dict(), proxy, context)


def _train(lane: Lane, settings: Settings, context: InitialContext) -> None:
    """The epochs that are left, each committed; the momentum goes on from epoch to epoch."""
    folder = context.folder
    done = _restore(lane, context)
    display = ProgressDisplay(settings.epochs, done, unit="epoch")

    def objective(parameters: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(lane.apply(parameters, images), labels)

    samples = len(lane.data.labels)
    for epoch in range(done + 1, settings.epochs + 1):
        if reason := folder.stop_requested():
            folder.stop(reason, f"epoch {epoch - 1}")
        order = stream(context.seed, "pretraining", epoch).permutation(samples)
        loss = float(lane.epoch(order, objective)) / lane.used_samples(samples)
        if not math.isfinite(loss) or not lane.state.is_finite():
            raise FedscapeError(
                f"pre-training on {context.proxy} diverged in epoch {epoch}; use a smaller lr"
            )
        tensors = {**lane.module.state_dict(), "momentum": lane.momentum}
        write_weights(folder.folder / STATE_SLOTS[epoch % len(STATE_SLOTS)], tensors)
        folder.commit({"epoch": epoch})
        display.step(epoch, {"train_loss": loss})
    display.close()


def _restore(lane: Lane, context: InitialContext) -> int:
    """Bring the lane to the last committed epoch and return its number; 0 for none."""
    epoch = context.folder.progress.get("epoch", 0)
    if epoch == 0:
        return 0
    path = context.folder.folder / STATE_SLOTS[epoch % len(STATE_SLOTS)]
    try:
        tensors = read_weights(path)
        momentum = tensors.pop("momentum")
        load_weights(lane.module, tensors, path)
    except (FedscapeError, KeyError) as error:
        context.folder.restart(f"the saved epoch cannot be read ({error})")
        return 0
    lane.resume(momentum)
    return epoch


def _transferred(trained: dict[str, Tensor], proxy: Dataset, context: InitialContext) -> dict[str, Tensor]:
    """The trained state_dict for the run's model, its classifier fresh where the classes differ."""
    tensors = context.module.state_dict()
    fresh = () if proxy.classes == context.data.classes else classifier_names(context.module)
    for name, tensor in trained.items():
        if name in fresh:
            continue
        if tensor.shape != tensors[name].shape:
            raise FedscapeError(
                f"{context.proxy}: its images {proxy.shape} give {name} the shape {tuple(tensor.shape)}, "
                f"the run's images {context.data.shape} need {tuple(tensors[name].shape)}"
            )
        tensors[name] = tensor
    return tensors
