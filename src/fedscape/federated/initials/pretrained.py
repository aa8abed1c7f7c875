"""A start from pre-training: the model is trained centrally on a proxy data set that no client has.

Plain SGD over all train samples of the proxy, without augmentation, in the lane that trains clients. The
classifier is kept where the proxy has the run's classes; otherwise it is the random start's. A model of
tokens with another vocabulary takes over, word by word, embeddings and outputs of the words that are in both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fedscape.checkpoints.state_dicts import load_weights, read_weights, write_weights
from fedscape.data.storage import Dataset, open_dataset
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import EvaluationSet
from fedscape.federated.algorithms import fedavg
from fedscape.federated.batches import ClientTask
from fedscape.federated.initial import InitialContext
from fedscape.federated.lanes import ClientStart, Lanes
from fedscape.federated.progress_display import ProgressDisplay
from fedscape.federated.rule import Client, Context, Rule
from fedscape.jobs.resume_state import say
from fedscape.jobs.streams import stream
from fedscape.models.build import classifier_names, random_model
from fedscape.settings.training import TrainingSettings

TRAINS = True  # a job for the queue of a cluster
MOMENT = "moment."  # prefix of the optimiser's vectors in a saved epoch
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
    if context.proxy is None:
        raise FedscapeError("pretrained start: no data set to train on")
    proxy = open_dataset(context.proxy)
    classes = len(proxy.classes)
    model = context.model
    module = random_model(model.kind, dict(model.settings), proxy.shape, classes, context.seed)
    data = EvaluationSet.from_dataset(proxy, "train", np.arange(len(proxy.train_labels)), context.device)
    lanes = Lanes(module, data, _training(settings), lanes=1)
    lanes.source.check(0, len(data.labels))
    _train(lanes, settings, context)
    return _transferred(module.state_dict(), proxy, context)


def _training(settings: Settings) -> TrainingSettings:
    """Training settings of one client that keeps its optimiser: each epoch is a round."""
    try:
        return TrainingSettings(
            rounds=settings.epochs,
            batch_size=settings.batch_size,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    except ValueError as error:  # an lr that 32 bits do not hold
        raise FedscapeError(f"pretrained start: {error}") from error


def _train(lanes: Lanes, settings: Settings, context: InitialContext) -> None:
    """The epochs that are left, each committed; the momentum carries over from epoch to epoch."""
    folder = context.folder
    done, moments = _restore(lanes, context)
    if done:
        say(f"continuing after epoch {done}")
    display = ProgressDisplay(settings.epochs, done, unit="epoch")
    rule = Rule(fedavg, fedavg.Settings())
    everyone = Client(torch.ones(()), torch.ones(()), {})
    for epoch in range(done + 1, settings.epochs + 1):
        if reason := folder.stop_requested():
            folder.stop(reason, f"epoch {epoch - 1}")
        order = stream(context.seed, "pretraining", epoch)
        task = ClientTask(0, np.arange(len(lanes.source.data.labels)), 1, order, order, order)
        start = ClientStart(lanes.state.clone(), everyone, moments)
        round_context = Context(rule.settings, lanes.training, epoch, 1, start.model, lanes.layout, {})
        ((_, result),) = lanes.train([task], lambda _, start=start: start, rule, round_context)
        if not math.isfinite(result.loss) or not lanes.state.is_finite():
            raise FedscapeError(
                f"pre-training on {context.proxy} diverged in epoch {epoch}; use a smaller lr"
            )
        moments = {name: vector.clone() for name, vector in result.moments.items()}
        tensors = lanes.module.state_dict() | {MOMENT + name: moments[name] for name in moments}
        slot = STATE_SLOTS[epoch % len(STATE_SLOTS)]
        write_weights(folder.folder / slot, tensors)
        folder.commit({"epoch": epoch}, [slot])
        display.step(epoch, {"train_loss": result.loss})
    display.close()


def _restore(lanes: Lanes, context: InitialContext) -> tuple[int, dict[str, Tensor]]:
    """Bring the lane to the last committed epoch; its number, 0 for none, and the optimiser's moments."""
    epoch = context.folder.progress.get("epoch", 0)
    if epoch == 0:
        return 0, {}
    path = context.folder.folder / STATE_SLOTS[epoch % len(STATE_SLOTS)]
    try:
        tensors = read_weights(path)
        moments = {name: tensors.pop(name) for name in list(tensors) if name.startswith(MOMENT)}
        load_weights(lanes.module, tensors, path)
    except FedscapeError as error:
        context.folder.restart(f"the saved epoch cannot be read ({error})")
        return 0, {}
    return epoch, {name.removeprefix(MOMENT): vector for name, vector in moments.items()}


def _transferred(trained: dict[str, Tensor], proxy: Dataset, context: InitialContext) -> dict[str, Tensor]:
    """The trained state_dict for the run's model, its classifier fresh where the classes differ."""
    tensors = context.module.state_dict()
    classes = context.data.classes
    differing = () if proxy.classes == classes else classifier_names(context.module)
    words = _embedding_names(context.module, len(classes)) if differing else ()
    for name, tensor in trained.items():
        if words and name in (*words, *differing):
            tensors[name] = _word_by_word(tensors[name], classes, tensor, proxy.classes)
        if name in differing or name in words:
            continue
        if tensor.shape != tensors[name].shape:
            raise FedscapeError(
                f"{context.proxy}: its images {proxy.shape} give {name} the shape {tuple(tensor.shape)}, "
                f"the run's images {context.data.shape} need {tuple(tensors[name].shape)}"
            )
        tensors[name] = tensor
    return tensors


def _embedding_names(module: nn.Module, words: int) -> tuple[str, ...]:
    """Names of the tables with a row for each word of the vocabulary; none in networks for images."""
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Embedding)]
    return tuple(f"{name}.weight" for name, layer in layers if layer.num_embeddings == words)


def _word_by_word(own: Tensor, words: Sequence[str], trained: Tensor, known: Sequence[str]) -> Tensor:
    """`own` [words, ...] with the rows of `trained` [known, ...] for the words that are in both."""
    rows = {word: row for row, word in enumerate(known)}
    shared = [row for row, word in enumerate(words) if word in rows]
    result = own.clone()
    result[shared] = trained[[rows[words[row]] for row in shared]].to(own.dtype)
    return result
