"""PFLlib's main.py, which saves each round and its clients as it trains.

    cd PFLlib/system
    python FEDSCAPE/examples/frameworks/pfllib/save_rounds.py FOLDER -data MNIST -m CNN -algo FedAvg -gr 20

writes FOLDER/round-000.safetensors, the start, and for each round FOLDER/round-001.safetensors and the models
that clients handed back, FOLDER/round-001/client-3.safetensors. All after FOLDER are arguments of main.py.
"""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path.cwd()))
from flcore.servers.serverbase import Server


def after_each_round(observe: Callable[[Server, int], None]) -> None:
    """Have `observe(server, number)` called with the start, number 0, and after each round.

    Then `server.global_model` is the new global model, and `server.clients[id].model` for each id in
    `server.uploaded_ids` is a model that a client handed back. Every round begins with `select_clients`,
    before models are sent, and the last is followed by `save_global_model`.
    """
    select_clients, save_global_model = Server.select_clients, Server.save_global_model

    def observe_next(server: Server) -> None:
        server.observed_round = getattr(server, "observed_round", -1) + 1
        observe(server, server.observed_round)

    def observe_and_select(server: Server) -> list:
        observe_next(server)
        return select_clients(server)

    def observe_and_save(server: Server) -> None:
        observe_next(server)
        save_global_model(server)

    Server.select_clients, Server.save_global_model = observe_and_select, observe_and_save


def save(model: torch.nn.Module, path: Path) -> None:
    """Write a model's state_dict, without its code."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}, path)


def save_each_round(folder: Path) -> None:
    """Have rounds and clients saved in a folder."""

    def save_round(server: Server, number: int) -> None:
        save(server.global_model, folder / f"round-{number:03}.safetensors")
        for client in server.uploaded_ids:
            save(server.clients[client].model, folder / f"round-{number:03}" / f"client-{client}.safetensors")

    after_each_round(save_round)


if __name__ == "__main__":
    save_each_round(Path(sys.argv[1]).absolute())
    sys.argv = ["main.py", *sys.argv[2:]]
    runpy.run_path("main.py", run_name="__main__")
