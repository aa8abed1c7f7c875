"""FL-Simulator's SCAFFOLD: the steps that clients take, and the number that its control variates divide by.

    cd FL-Simulator
    python FEDSCAPE/examples/frameworks/fl-simulator/scaffold_steps.py

In the first round the control variates are zero, so that c_i+ = (x - y_i) / (K lr) tells K.
"""

import contextlib
import io
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

sys.path.insert(0, str(Path.cwd()))
from server import SCAFFOLD
from utils import get_mdl_params

SIZES, BATCH, RATE = (25, 50, 10), 10, 0.1

if __name__ == "__main__":
    draw = np.random.default_rng(0)
    settings = Namespace(
        method="SCAFFOLD",
        dataset="mnist",
        total_client=len(SIZES),
        comm_rounds=1,
        local_epochs=1,
        batchsize=BATCH,
        local_learning_rate=RATE,
        global_learning_rate=1.0,
        lr_decay=1.0,
        weight_decay=0.0,
        active_ratio=1.0,
        seed=0,
        use_RI=False,
    )
    data = SimpleNamespace(
        client_x=[draw.normal(size=(size, 4)).astype(np.float32) for size in SIZES],
        client_y=[draw.integers(0, 10, size) for size in SIZES],
    )
    model = torch.nn.Linear(4, 10)
    with contextlib.redirect_stdout(io.StringIO()):
        server = SCAFFOLD(
            torch.device("cpu"),
            lambda: torch.nn.Linear(4, 10),
            model,
            get_mdl_params(model),
            data,
            "SCAFFOLD",
            settings,
        )
        server._test_ = server._save_results_ = lambda *arguments: None
        server.train()
    for client, size in enumerate(SIZES):
        change = server.clients_updated_params_list[client]
        divisor = float(change.norm() / server.c_i_params_list[client].norm() / RATE)
        print(f"client {client}: {-(-size // BATCH)} steps, divided by {divisor:.2f}")
