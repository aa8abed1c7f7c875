"""Random images as clients of FL-bench's, for reproductions: four of 40 each."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from system import decoupled, run_main, write_data


def federation(
    keep: Path | None = None, network: Callable | None = None, clients: int = 4, **settings: object
) -> None:
    """Run FL-bench's main.py on them, all clients in each round.

    keep: folder that `out/` is copied to; it is lost if left out. network: else a linear one.
    """
    torch.manual_seed(0)
    images, labels = torch.rand(160, 1, 8, 8), torch.arange(160) // 40
    network = network or decoupled(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    settings = {"common.batch_size": 20, "optimizer.lr": 0.1, **settings}
    with TemporaryDirectory() as folder:
        write_data(Path(folder), [list(range(40 * i, 40 * i + 40)) for i in range(clients)])
        run_main(Path(folder), images, labels, network, settings)
        if keep:
            shutil.copytree(Path(folder) / "out", keep / "out", dirs_exist_ok=True)
