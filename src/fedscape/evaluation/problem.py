"""The evaluation problem of an analysis: one network and the fixed samples on which it is evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fedscape.checkpoints.layout import Layout, layout_of, parameters_of
from fedscape.data.partition import open_partition
from fedscape.data.storage import open_dataset
from fedscape.evaluation.batch_norm import has_batch_statistics, recalibrated
from fedscape.evaluation.device import prepare_device
from fedscape.evaluation.evaluate import EvaluationSet, SampleSet
from fedscape.jobs.job import JobContext
from fedscape.jobs.streams import stream
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.settings.evaluation import BatchNorm


@dataclass(frozen=True)
class ProblemSpec:
    """The model, files and samples of an evaluation problem.

    model: the network. dataset: folder of a prepared data set. partition: file of the samples that are used;
    of the train samples at most `samples`, drawn by the stream `samples` of `seed`, all if None.
    """

    model: Plugin
    dataset: str | Path
    partition: str | Path
    samples: int | None = None
    seed: int = 0
    device: str = "cpu"


def problem_spec(context: JobContext) -> ProblemSpec:
    """The evaluation problem of a group of runs; the seed is that of its first run."""
    return ProblemSpec(
        model=Plugin.of(context.settings["model"]),
        dataset=Path(context.inputs["dataset"]).parent,
        partition=context.inputs["partition"],
        samples=context.settings["samples"],
        seed=context.settings["runs"][0]["seed"],
        device=context.device,
    )


@dataclass(frozen=True)
class Problem:
    """A network, whose own weights are not used, with samples to train on and, maybe, to test on.

    owners: int64 [n], which of the partition's `clients` clients has each train sample; -1 for none; without
    a partition there are 0 clients. share: n as a share of the partition's train samples.
    """

    module: nn.Module
    layout: Layout
    train: SampleSet
    test: SampleSet | None
    owners: Tensor
    clients: int
    share: float
    device: torch.device

    @property
    def splits(self) -> dict[str, SampleSet]:
        """The samples by split; `test` where there are any."""
        return {"train": self.train, **({} if self.test is None else {"test": self.test})}

    def policy(self, batch_norm: BatchNorm) -> str:
        """The batch-norm policy as CSVs record it: `none` for a network without running statistics."""
        return batch_norm if has_batch_statistics(self.module) else "none"

    def tensors(
        self, vector: Tensor, buffers: dict[str, Tensor], batch_norm: BatchNorm
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Named parameters and buffers, on the device, of a model that nobody trained, as on a plane.

        vector: its parameters [P]. buffers: those of a nearby model (`keep`) or interpolated ones
        (`interpolate`), both used as they are; `recalibrate` measures them afresh on the train samples.
        """
        parameters = parameters_of(vector.to(self.device), self.layout)
        buffers = {name: tensor.to(self.device) for name, tensor in buffers.items()}
        if self.policy(batch_norm) == "recalibrate":
            buffers = recalibrated(self.module, parameters, buffers, self.train)
        return parameters, buffers


def open_problem(spec: ProblemSpec) -> Problem:
    """The network and the samples, on their device; of test samples all that the partition has."""
    device = prepare_device(spec.device)
    dataset = open_dataset(spec.dataset)
    partition = open_partition(spec.partition, dataset)
    shape, classes = dataset.shape, len(dataset.classes)
    module = random_model(spec.model.kind, dict(spec.model.settings), shape, classes, spec.seed).to(device)
    module.requires_grad_(False)
    train = chosen_samples(partition.train, spec.samples, spec.seed)
    return Problem(
        module=module,
        layout=layout_of(module),
        train=EvaluationSet.from_dataset(dataset, "train", train, device),
        test=EvaluationSet.from_dataset(dataset, "test", partition.test, device),
        owners=torch.from_numpy(sample_owners(train, partition.clients)).to(device),
        clients=len(partition.clients),
        share=len(train) / len(partition.train),
        device=device,
    )


def chosen_samples(indices: np.ndarray, samples: int | None, seed: int) -> np.ndarray:
    """At most `samples` of the indices, fixed by the stream `samples` of `seed`, sorted; None for all."""
    if samples is None or samples >= len(indices):
        return indices
    return np.sort(stream(seed, "samples").permutation(indices)[:samples])


def sample_owners(samples: np.ndarray, clients: Sequence[np.ndarray]) -> np.ndarray:
    """The client of each of the `samples` [n], from the disjoint samples of every client; -1 for none."""
    largest = max(indices.max(initial=-1) for indices in (samples, *clients))
    owners = np.full(largest + 1, -1, dtype=np.int64)
    for client, indices in enumerate(clients):
        owners[indices] = client
    return owners[samples]
