"""The run that wrote saved/: two clients, two rounds and 310 parameters by FL-Simulator's train.py.

cd FL-Simulator
python FEDSCAPE/examples/frameworks/fl-simulator/small.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from command import run_train
from save_rounds import save_each_round
from sklearn.datasets import load_digits
from small_net import SmallNet

IMAGES = 40  # of each client

if __name__ == "__main__":
    digits = load_digits()
    inputs = (digits.data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    parts = [slice(start, start + IMAGES) for start in (0, IMAGES)]
    folder = Path(sys.argv[1]).absolute()
    save_each_round(folder / "saved")
    run_train(
        SmallNet,
        [(inputs[part], digits.target[part]) for part in parts],
        ["--method", "FedAvg", "--comm-rounds", "2", "--local-epochs", "1", "--batchsize", "10"],
        folder,
    )
