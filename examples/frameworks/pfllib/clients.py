"""Clients and servers of PFLlib on random numbers, for scripts that show one thing about them."""

import contextlib
import io
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path.cwd()))
from flcore.clients import clientbase
from flcore.servers import serverbase

Samples = Sequence[tuple[torch.Tensor, torch.Tensor]]


def arguments(model: torch.nn.Module, **changes) -> Namespace:
    """What main.py gives a server: one CPU, all clients, one local epoch; nothing else is turned on."""
    off = ("few_shot", "learning_rate_decay", "random_join_ratio", "time_select", "auto_break", "dlg_eval")
    rates = ("client_drop_rate", "train_slow_rate", "send_slow_rate")
    none = ("num_new_clients", "fine_tuning_epoch_new", "top_cnt", "dlg_gap", "batch_num_per_client")
    values = {
        **dict.fromkeys([*off, *rates, *none], 0),
        "model": model,
        "device": "cpu",
        "dataset": "random",
        "algorithm": "example",
        "goal": "example",
        "save_folder_name": "unused",
        "num_classes": 10,
        "num_clients": 2,
        "join_ratio": 1.0,
        "time_threthold": 10000,
        "eval_gap": 1,
        "global_rounds": 2,
        "local_epochs": 1,
        "batch_size": 10,
        "local_learning_rate": 0.1,
        "learning_rate_decay_gamma": 0.5,
        "server_learning_rate": 1.0,
        "alpha": 1.0,
    }
    return Namespace(**{**values, **changes})


def give_samples(samples: Samples) -> None:
    """Give these to every client."""
    for module in (clientbase, serverbase):
        module.read_client_data = lambda *names, **settings: samples


def server_of(rule: type[serverbase.Server], model: torch.nn.Module, **changes) -> serverbase.Server:
    """A server, which prints nothing; `changes` are arguments of main.py."""
    with contextlib.redirect_stdout(io.StringIO()):
        return rule(arguments(model, **changes), 0)


def train_rounds(server: serverbase.Server, rounds: int) -> None:
    """What `train` of FedAvg's, SCAFFOLD's and FedDyn's server does in a round, without its evaluation."""
    for _ in range(rounds):
        server.selected_clients = server.select_clients()
        server.send_models()
        for client in server.selected_clients:
            client.train()
        server.receive_models()
        if hasattr(server, "update_server_state"):
            server.update_server_state()
        server.aggregate_parameters()
