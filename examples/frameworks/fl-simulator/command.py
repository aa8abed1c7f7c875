"""FL-Simulator's train.py on data and a network of one's own, in a folder of its own."""

import os
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

Arrays = tuple[np.ndarray, np.ndarray]


def run_train(
    network: Callable[[], torch.nn.Module], clients: Sequence[Arrays], arguments: Sequence[str], folder: Path
) -> None:
    """Run train.py of the folder that the process is in.

    network: in place of what `--model` names. clients: inputs and labels of each, in place of what
    `--dataset` names; all of them are the test data. The augmentation of CIFAR-10 is off, as it is for its
    data set `mnist`. folder: for what it writes.
    """
    import client.client
    import dataset
    import models
    import server.server

    inputs, labels = (np.concatenate(arrays) for arrays in zip(*clients, strict=True))
    data = SimpleNamespace(
        client_x=[own for own, _ in clients],
        client_y=[own for _, own in clients],
        test_x=inputs,
        test_y=labels,
    )
    plain = dataset.Dataset
    for module in (client.client, server.server):
        module.Dataset = lambda *arrays, train, dataset_name: plain(*arrays, train, "mnist")
    dataset.DatasetObject = lambda **settings: data
    models.client_model = lambda *names: network()
    train = Path.cwd() / "train.py"
    sys.argv = [
        *("train.py", "--total-client", str(len(clients)), "--active-ratio", "1", "--out-file", "out"),
        *arguments,
    ]
    back = Path.cwd()
    os.chdir(folder)
    try:
        runpy.run_path(str(train), run_name="__main__")
    finally:
        os.chdir(back)
