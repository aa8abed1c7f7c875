"""Which models a job of stage `curvature` looks at, and on which samples, out of the files of its runs."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from fedscape.checkpoints.trajectory import GLOBAL, ClientModels, Trajectory
from fedscape.data.partition import Partition, open_partition
from fedscape.data.storage import Dataset, open_dataset
from fedscape.evaluation.evaluate import EvaluationSet
from fedscape.evaluation.problem import Subject, check_layout, chosen_samples

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A model of a run after (of a client: in) a round, and whose samples it is looked at on."""

    run: int  # place in the job's list
    round: int
    client: int  # or GLOBAL
    data: str  # "global" | "own"

    @property
    def of(self) -> str:
        """As the study names the models: "global" or "clients"."""
        return "global" if self.client == GLOBAL else "clients"

    @property
    def columns(self) -> dict[str, object]:
        """The columns that name it beside its run."""
        of = "global" if self.client == GLOBAL else "client"
        return {"round": self.round, "of": of, "client": self.client, "data": self.data}

    @property
    def words(self) -> str:
        """For the log."""
        whose = "global model" if self.client == GLOBAL else f"client {self.client}"
        return whose if self.data == "global" else f"{whose} on its own samples"


@dataclass(frozen=True)
class Models:
    """Files of the runs of a job, and the samples in them."""

    subject: Subject
    dataset: Dataset
    samples: int | None
    seed: int
    trajectories: list[Trajectory]
    clients: list[ClientModels]  # none unless clients' models are looked at
    partitions: list[Partition]  # none unless clients' own samples are

    @classmethod
    def open(
        cls,
        subject: Subject,
        trajectories: Sequence[str | Path],
        clients: Sequence[str | Path],
        partitions: Sequence[str | Path],
        dataset_folder: str | Path,
        samples: int | None,
        seed: int,
    ) -> "Models":
        """Open the files of each run. Raises FedscapeError for models of another kind than the subject's."""
        dataset = open_dataset(dataset_folder)
        opened = cls(
            subject,
            dataset,
            samples,
            seed,
            [Trajectory.open(path) for path in trajectories],
            [ClientModels.open(path) for path in clients],
            [open_partition(path, dataset) for path in partitions],
        )
        for file in (*opened.trajectories, *opened.clients):
            check_layout(subject, file.layout, file.path)
        return opened

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return len(self.dataset.classes)

    @property
    def sample(self) -> EvaluationSet:
        """One of the samples."""
        train = self.subject.train
        return replace(train, inputs=train.inputs[:1], labels=train.labels[:1])

    def participants(self, run: int, number: int) -> list[int]:
        """The clients that took part in a round; none, with a note, where their models are not kept."""
        file = self.clients[run]
        if number in file.rounds:
            return file.clients(number).tolist()
        # Which rounds a study keeps is checked before: the run ended before the one asked for.
        log.warning("%s: no clients' models of round %d, where the run ended early", file.path, number)
        return []

    def tensors(self, model: Model) -> tuple[Tensor, dict[str, Tensor]]:
        """Parameters [P] and buffers of a model on the subject's device."""
        if model.client == GLOBAL:
            file = self.trajectories[model.run]
            parameters, buffers = file.parameters(model.round), file.buffers(model.round)
        else:
            file = self.clients[model.run]
            place = file.clients(model.round).tolist().index(model.client)
            parameters = file.parameters(model.round)[place].clone()  # a row would keep the others in memory
            buffers = file.buffers(model.round, place)
        device = self.subject.device
        return parameters.to(device), {name: tensor.to(device) for name, tensor in buffers.items()}

    def data(self, model: Model) -> EvaluationSet:
        """The samples that a model is looked at on."""
        if model.data == "global":
            return self.subject.train
        indices = self._own(model)
        return EvaluationSet.from_dataset(self.dataset, "train", indices, torch.device(self.subject.device))

    def count(self, model: Model) -> int:
        """How many samples these are."""
        return len(self.subject.train.labels) if model.data == "global" else len(self._own(model))

    def _own(self, model: Model):
        """Indices of a client's own samples, at most so many."""
        return chosen_samples(self.partitions[model.run].clients[model.client], self.samples, self.seed)
