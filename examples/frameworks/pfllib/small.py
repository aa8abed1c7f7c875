"""The run that wrote saved/: two clients, two rounds and 310 parameters by PFLlib's main.py.

    cd PFLlib/system
    python FEDSCAPE/examples/frameworks/pfllib/small.py FOLDER

saves rounds and clients in FOLDER/saved; PFLlib itself writes FOLDER/system/models/digits/FedAvg_server.pt.
"""

import random
import sys
from pathlib import Path

import numpy as np
import torch
from command import run_main
from network import Network
from save_rounds import save_each_round
from sklearn.datasets import load_digits

IMAGES = 40  # of each client

if __name__ == "__main__":
    digits = load_digits()
    inputs = (digits.data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    parts = [slice(start, start + IMAGES) for start in (0, IMAGES)]
    torch.manual_seed(0)
    random.seed(0)  # PFLlib draws the order of clients without a seed of its own
    np.random.seed(0)  # noqa: NPY002 (the generator that PFLlib draws from)
    folder = Path(sys.argv[1]).absolute()
    save_each_round(folder / "saved")
    run_main(
        Network(hidden=4),
        [(inputs[part], digits.target[part]) for part in parts],
        ["-algo", "FedAvg", "-gr", "1", "-lr", "0.1", "-lbs", "10"],  # it trains a round more than -gr
        folder,
    )
