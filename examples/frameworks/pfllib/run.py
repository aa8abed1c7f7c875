"""The common problem by PFLlib's own servers and clients.

    cd PFLlib/system
    python FEDSCAPE/examples/frameworks/pfllib/run.py PROBLEM_FOLDER METHOD OUT_FOLDER

METHOD: fedavg, scaffold, feddyn, or feddyn-squared, which is FedDyn with the norm of its penalty squared.
Patched are the data and the network (command.py), the order of the batches, and the evaluation, which is left
out.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from command import run_main
from exchange import Problem, Run, State, copied, write_costs
from feeding import Epochs
from net import Net
from network import Network
from save_rounds import after_each_round
from torch import nn
from torch.utils.data import DataLoader

VERSION = "d832e76"
ALGORITHMS = {"fedavg": "FedAvg", "scaffold": "SCAFFOLD", "feddyn": "FedDyn", "feddyn-squared": "FedDyn"}


class SquaredNorm:
    """PyTorch for FedDyn's client, with the square of `norm`, which it uses for its penalty alone."""

    def __getattr__(self, name: str) -> object:
        return getattr(torch, name)

    @staticmethod
    def norm(vector: torch.Tensor, order: int) -> torch.Tensor:
        return vector.square().sum()


def named(model: nn.Module) -> State:
    """A state_dict with the names of Net, by the order of entries, which is the same for all methods."""
    return dict(zip(Net().state_dict(), copied(model.state_dict()).values(), strict=True))


def feed(problem: Problem) -> None:
    """Have clients train on the problem's batches."""
    from flcore.clients.clientbase import Client

    load_train_data = Client.load_train_data

    def load(client: Client, batch_size: int | None = None) -> DataLoader:
        dataset = load_train_data(client, batch_size).dataset
        number = client.train_time_cost["num_rounds"] + 1
        return DataLoader(dataset, batch_sampler=Epochs(problem, number, client.id))

    Client.load_train_data = load


def train(problem: Problem, method: str) -> tuple[Run, float]:
    """The models of a run, and the seconds of its rounds by PFLlib's own clock."""
    from flcore.clients import clientdyn
    from flcore.servers.serverbase import Server

    run, servers = Run(), []

    def observe(server: Server, number: int) -> None:
        servers[:] = [server]
        run.rounds[number] = named(server.global_model)
        for client in server.uploaded_ids:
            run.clients[number, client] = named(server.clients[client].model)

    after_each_round(observe)
    feed(problem)
    if method == "feddyn-squared":
        clientdyn.torch = SquaredNorm()
    Server.evaluate = lambda server: server.rs_test_acc.append(0.0)
    settings = problem.settings
    samples = [problem.samples(client) for client in range(settings["clients"])]
    clients = [(problem.inputs[rows].numpy(), problem.labels[rows].numpy()) for rows in samples]
    network = Network()
    own = dict(zip(Net().state_dict(), network.state_dict(), strict=True))
    network.load_state_dict({own[name]: tensor for name, tensor in problem.start.items()})
    options = {
        "-algo": ALGORITHMS[method],
        "-gr": settings["rounds"] - 1,  # it trains a round more
        "-ls": settings["local_epochs"],
        "-lbs": settings["batch_size"],
        "-lr": settings["lr"],
        "-slr": settings["methods"]["scaffold"]["server_lr"],
        "-al": settings["methods"]["feddyn"]["alpha"],
    }
    with TemporaryDirectory() as folder:
        arguments = [str(word) for option in options.items() for word in option]
        run_main(network, clients, arguments, Path(folder))
    return run, sum(servers[0].Budget)


if __name__ == "__main__":
    problem, method, out = Problem.read(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3]).absolute()
    run, seconds = train(problem, method)
    run.write(out, f"pfllib-{method}")
    write_costs(out / "costs.csv", "pfllib", VERSION, method, problem.settings["rounds"], seconds)
