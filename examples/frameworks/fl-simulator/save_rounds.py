"""FL-Simulator's train.py, which saves each round and its clients as it trains.

    cd FL-Simulator
    python FEDSCAPE/examples/frameworks/fl-simulator/save_rounds.py FOLDER --method FedAvg --non-iid

writes FOLDER/round-000.safetensors, the start, and for each round FOLDER/round-001.safetensors and the models
that clients handed back, FOLDER/round-001/client-3.safetensors. All after FOLDER are arguments of train.py.
"""

import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path.cwd()))
from server.server import Server

State = dict[str, torch.Tensor]


def after_each_round(observe: Callable[[Server, int, Sequence[int]], None]) -> None:
    """Have `observe(server, number, clients)` called with the start, number 0, and after each round.

    Then `server.server_model_params_list` is the new global model, and rows `clients` of
    `server.clients_params_list` are those that the clients handed back.
    """
    train, test = Server.train, Server._test_

    def observe_and_train(server: Server) -> None:
        observe(server, 0, [])
        train(server)

    def observe_and_test(server: Server, index: int, clients: Sequence[int]) -> None:
        observe(server, index + 1, clients)
        test(server, index, clients)

    Server.train, Server._test_ = observe_and_train, observe_and_test


def state_of(model: torch.nn.Module, vector: torch.Tensor) -> State:
    """The state_dict of a model whose parameters stand in a vector; buffers, never sent, are the model's."""
    state = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    parameters = dict(model.named_parameters())
    parts = vector.detach().cpu().split([parameter.numel() for parameter in parameters.values()])
    for (name, parameter), part in zip(parameters.items(), parts, strict=True):
        state[name] = part.view(parameter.shape).clone()
    return state


def save_each_round(folder: Path) -> None:
    """Have rounds and clients saved in a folder."""

    def save_round(server: Server, number: int, clients: Sequence[int]) -> None:
        name = f"round-{number:03}"
        (folder / name).mkdir(parents=True, exist_ok=True)  # empty for the start
        model = server.server_model
        save_file(state_of(model, server.server_model_params_list), folder / f"{name}.safetensors")
        for client in clients:
            state = state_of(model, server.clients_params_list[client])
            save_file(state, folder / name / f"client-{client}.safetensors")

    after_each_round(save_round)


if __name__ == "__main__":
    save_each_round(Path(sys.argv[1]).absolute())
    sys.argv = ["train.py", *sys.argv[2:]]
    runpy.run_path("train.py", run_name="__main__")
