"""PFLlib's main.py on data and a network of one's own, in a folder of its own."""

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

DATASET = "digits"
Arrays = tuple[np.ndarray, np.ndarray]


def run_main(
    network: torch.nn.Module, clients: Sequence[Arrays], arguments: Sequence[str], folder: Path
) -> None:
    """Run main.py of the folder that the process is in, on one CPU.

    network: its classifier is called `fc`, which main.py takes off for FedAvg; it stands for the `-m DNN`.
    clients: inputs and labels of each, for training and test. folder: for what PFLlib reads and writes; its
    last model will be in `system/models`.
    """
    from flcore.trainmodel import models

    main = Path.cwd() / "main.py"
    models.DNN = lambda *_, **settings: network
    sys.argv = [
        *("main.py", "-dev", "cpu", "-data", DATASET, "-m", "DNN", "-nc", str(len(clients))),
        *arguments,
    ]
    back = Path.cwd()
    for part in ("train", "test"):
        data = folder / "dataset" / DATASET / part
        data.mkdir(parents=True)
        for client, (inputs, labels) in enumerate(clients):
            np.savez_compressed(data / f"{client}.npz", data={"x": inputs, "y": labels})
    system = folder / "system"
    system.mkdir()
    os.chdir(system)  # main.py reads ../dataset, and writes ../results and models
    try:
        runpy.run_path(str(main), run_name="__main__")
    finally:
        os.chdir(back)
