"""FL-bench, run by its own main.py on data, a network and batches of ours, without a change to its clone.

FL-bench looks up data sets and networks in two tables, which are added to, and reads partitions below its
own folder, in whose place a temporary one is put. PYTHONPATH begins with the clone.
"""

import json
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import src.server.fedavg as fedavg
import torch
from data.utils.datasets import DATASETS, BaseDataset
from exchange import Problem
from save_rounds import main
from src.utils.models import MODELS, DecoupledModel
from src.utils.trainer import FLbenchTrainer

QUIET = {
    "common.client_side_evaluation": "false",
    "common.test.client.test": "false",
    "common.test.client.interval": "-1",
    "common.save_metrics": "false",
    "common.save_learning_curve_plot": "false",
    "common.use_cuda": "false",
}


class Images(BaseDataset):
    """Inputs and labels as they are; FL-bench divides inputs above 1 by 255 unless told not to."""

    def _rescale_data(self) -> None:
        pass


class FixedBatches:
    """In place of a client's loader: each pass is the next epoch of the client's round in a problem."""

    def __init__(self, problem: Problem, trainer: FLbenchTrainer):
        self._problem, self._trainer = problem, trainer
        self._key = None

    def __iter__(self):
        key = (self._trainer.server.current_epoch + 1, self._trainer.worker.client_id)
        if key != self._key:
            self._key, self._epochs = key, self._problem.epochs(*key)
        return iter(next(self._epochs))


def decoupled(base: torch.nn.Module, classifier: torch.nn.Module) -> Callable[..., DecoupledModel]:
    """What FL-bench's table of networks holds for a network in two parts."""

    def build(**_: object) -> DecoupledModel:
        model = DecoupledModel()
        model.base, model.classifier = base, classifier
        return model

    return build


def write_data(folder: Path, samples: list) -> None:
    """Write what FL-bench reads of a data set below its own folder: each client's positions."""
    clients = list(range(len(samples)))
    indices = [{"train": list(positions), "val": [], "test": []} for positions in samples]
    separation = {"train": clients, "val": [], "test": [], "total": len(clients)}
    split = folder / "data" / "ours"
    split.mkdir(parents=True)
    (split / "args.json").write_text(json.dumps({"split": "sample", "monitor_window_name_suffix": ""}))
    with (split / "partition.pkl").open("wb") as file:
        pickle.dump({"separation": separation, "data_indices": indices}, file)


def run_main(
    folder: Path,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    network: Callable,
    settings: Mapping[str, object],
) -> None:
    """Run main.py in a folder that `write_data` has filled, where it leaves `out/`."""
    DATASETS["ours"] = lambda root, args, **more: Images(inputs, labels, list(range(10)), **more)
    MODELS["ours"] = network
    fedavg.FLBENCH_ROOT = folder
    os.chdir(folder)
    settings = {"dataset.name": "ours", "model.name": "ours", "common.join_ratio": 1.0, **QUIET, **settings}
    sys.argv = ["main.py", *(f"{key}={value}" for key, value in settings.items())]
    main()
