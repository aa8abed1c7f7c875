"""A federation of fluke's on a few numbers, for reproductions: a model whose result is known."""

from collections.abc import Sequence

import torch
from fluke import DDict, FlukeENV
from fluke.algorithms import CentralizedFL
from fluke.data import DataSplitter, DummyDataContainer, FastDataLoader
from fluke.evaluation import ClassificationEval


class Weight(torch.nn.Module):
    """The model w x, from w = 1."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.w


def federation(
    kind: type[CentralizedFL], clients: Sequence[tuple[list[float], list[float]]], **client: object
) -> CentralizedFL:
    """An algorithm of fluke's on clients' inputs and targets, with the mean squared error and batches of one.

    client: hyperparameters of the clients, in place of one epoch at rate 0.1 without clipping.
    """
    FlukeENV().set_evaluator(ClassificationEval(eval_every=1, n_classes=2))
    FlukeENV().set_eval_cfg(pre_fit=False, post_fit=False, locals=False, server=False)
    loaders = [
        FastDataLoader(
            torch.tensor(inputs), torch.tensor(targets), num_labels=2, batch_size=1, skip_singleton=False
        )
        for inputs, targets in clients
    ]
    settings = {
        "batch_size": 1,
        "local_epochs": 1,
        "loss": "MSELoss",
        "optimizer": {"name": "SGD", "lr": 0.1},
        "scheduler": {"name": "StepLR", "step_size": 1, "gamma": 1},
        "clipping": 0,
        **client,
    }
    data = DataSplitter(DummyDataContainer(loaders, [None] * len(loaders), None, num_classes=2))
    hyper = DDict(client=DDict(**settings), server=DDict(weighted=True), model=Weight())
    return kind(len(loaders), data, hyper)
