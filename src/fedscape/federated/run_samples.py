"""The samples of a run on the device that trains."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fedscape.checkpoints.layout import Layout, buffers_of, parameters_of
from fedscape.data.partition import open_partition
from fedscape.data.storage import open_dataset
from fedscape.evaluation.evaluate import Evaluation, EvaluationSet, evaluate
from fedscape.federated.state import ModelState


@dataclass(frozen=True)
class RunSamples:
    """Inputs and labels by split, and who owns which."""

    splits: dict[str, EvaluationSet]  # "train", "validation" where some are held out, "test"
    clients: tuple[np.ndarray, ...]  # per client the positions of its samples in splits["train"], int64
    shape: tuple[int, ...]  # (C, H, W) of an image as the network is shown it, (T,) of a sequence
    classes: int

    @classmethod
    def open(cls, dataset: str | Path, partition: str | Path, device: torch.device) -> "RunSamples":
        """Copy what the partition (.npz) uses of the data set (a folder) to the device, as uint8."""
        data = open_dataset(dataset)
        parts = open_partition(partition, data)
        by_split = {"train": parts.train, "validation": parts.validation, "test": parts.test}
        splits = {
            split: EvaluationSet.from_dataset(data, "test" if split == "test" else "train", indices, device)
            for split, indices in by_split.items()
            if len(indices)
        }
        clients = tuple(np.searchsorted(parts.train, owned) for owned in parts.clients)
        return cls(splits, clients, data.shape, len(data.classes))

    def evaluate(self, module: nn.Module, model: ModelState, layout: Layout) -> dict[str, Evaluation]:
        """Loss and error of the model on every split."""
        parameters = parameters_of(model.parameters, layout)
        buffers = buffers_of(model.buffers, model.counters, layout)
        return {
            split: evaluate(module, parameters, buffers, samples) for split, samples in self.splits.items()
        }
