"""What stage `curvature` looks at: kept models, each on the partition's samples or a client's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from fedscape.checkpoints.checkpoint import Checkpoint
from fedscape.checkpoints.run_files import RunFiles
from fedscape.data.partition import Partition, open_partition
from fedscape.data.storage import Dataset, open_dataset
from fedscape.evaluation.evaluate import EvaluationSet, SampleSet
from fedscape.evaluation.problem import Problem, ProblemSpec, chosen_samples


@dataclass(frozen=True)
class Target:
    """A model, and whose samples it is looked at on.

    is_mean: it is the mean of the models of the round's clients. On `own` samples it then has the
    `checkpoint` of the client whose samples they are.
    """

    checkpoint: Checkpoint
    data: Literal["global", "own"]
    is_mean: bool = False

    @property
    def of(self) -> Literal["global", "client", "mean"]:
        """Whose model it is."""
        if self.is_mean:
            return "mean"
        return "global" if self.checkpoint.client is None else "client"

    @property
    def columns(self) -> dict[str, object]:
        """The columns that name it beside its run."""
        model = self.checkpoint
        return {"round": model.round, "of": self.of, "client": model.client_column, "data": self.data}

    @property
    def words(self) -> str:
        """The target as the log calls it."""
        client = f"client {self.checkpoint.client}"
        whose = {"global": "global model", "client": client, "mean": "mean of the clients' models"}[self.of]
        if self.data == "global":
            return whose
        return f"{whose} on {f'the samples of {client}' if self.is_mean else 'its own samples'}"


@dataclass(frozen=True)
class TargetSamples:
    """The samples of a job's targets: at most `limit` of each kind, chosen by `seed`."""

    problem: Problem
    dataset: Dataset
    partitions: Sequence[Partition]  # of each run; none unless clients' samples are needed
    limit: int | None
    seed: int

    @classmethod
    def open(cls, problem: Problem, spec: ProblemSpec, runs: Sequence[RunFiles]) -> "TargetSamples":
        """Those of an open problem, and those of the runs' clients."""
        dataset = open_dataset(spec.dataset)
        partitions = [open_partition(run.partition, dataset) for run in runs if run.partition is not None]
        return cls(problem, dataset, partitions, spec.samples, spec.seed)

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return len(self.dataset.classes)

    @property
    def first(self) -> Tensor:
        """One of the samples, as a network takes it, in a batch of its own."""
        return self.problem.train.taken(slice(0, 1))

    def of(self, target: Target) -> SampleSet:
        """The samples that a model is looked at on."""
        if target.data == "global":
            return self.problem.train
        return EvaluationSet.from_dataset(self.dataset, "train", self._own(target), self.problem.device)

    def count(self, target: Target) -> int:
        """How many samples these are."""
        return len(self.problem.train.labels if target.data == "global" else self._own(target))

    def sizes(self, run: int, clients: Sequence[int]) -> list[int]:
        """How many samples clients of a run train on, by which their models' mean weighs them."""
        return [len(self.partitions[run].clients[client]) for client in clients]

    def _own(self, target: Target) -> np.ndarray:
        """Indices of the samples of a model's own client."""
        model = target.checkpoint
        if model.client is None:
            raise ValueError("a global model has no samples of its own")
        return chosen_samples(self.partitions[model.run].clients[model.client], self.limit, self.seed)
