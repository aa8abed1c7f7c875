"""The common problem by FL-Simulator's own servers and clients.

    cd FL-Simulator
    python FEDSCAPE/examples/frameworks/fl-simulator/run.py PROBLEM_FOLDER METHOD OUT_FOLDER

METHOD: fedavg, scaffold, feddyn, or scaffold-own-steps, which is SCAFFOLD with the steps that each client
takes in place of those of client 0. Patched are the data and the network (command.py), the order of the
batches, the bound of the clipping, which is no option, and the evaluation, which is left out.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command import Arrays, run_train
from exchange import Problem, Run, write_costs
from feeding import Epochs
from net import Net
from save_rounds import Server, after_each_round, state_of
from torch.utils.data import DataLoader

VERSION = "502bec6"
METHODS = {"fedavg": "FedAvg", "scaffold": "SCAFFOLD", "feddyn": "FedDyn", "scaffold-own-steps": "SCAFFOLD"}


def network(problem: Problem) -> Net:
    """The network at the start."""
    net = Net()
    net.load_state_dict(problem.start)
    return net


def feed(problem: Problem, clients: Sequence[Arrays]) -> None:
    """Have clients, which their inputs tell apart, train on the problem's batches; no gradient is clipped."""
    from client.client import Client

    prepare = Client.__init__
    rounds = [0] * len(clients)

    def prepare_and_feed(client: Client, device, model_func, received_vecs, dataset, lr, args) -> None:
        prepare(client, device, model_func, received_vecs, dataset, lr, args)
        index = next(i for i, (inputs, _) in enumerate(clients) if inputs is dataset[0])
        rounds[index] += 1
        epochs = Epochs(problem, rounds[index], index)
        client.dataset = DataLoader(client.dataset.dataset, batch_sampler=epochs)
        client.max_norm = float("inf")

    Client.__init__ = prepare_and_feed


def divide_by_own_steps(problem: Problem) -> None:
    """Have SCAFFOLD divide a client's change by the number of its own steps."""
    from server import SCAFFOLD

    postprocess = SCAFFOLD.postprocess

    def divide_and_postprocess(server: Server, client: int, received_vecs: dict) -> None:
        server.local_iteration = len(problem.steps(1, client))
        postprocess(server, client, received_vecs)

    SCAFFOLD.postprocess = divide_and_postprocess


def train(problem: Problem, method: str) -> tuple[Run, float]:
    """The models of a run, and the seconds of its rounds by FL-Simulator's own clock."""
    run, servers = Run(), []

    def observe(server: Server, number: int, clients: Sequence[int]) -> None:
        servers[:] = [server]
        run.rounds[number] = state_of(server.server_model, server.server_model_params_list)
        for client in clients:
            state = state_of(server.server_model, server.clients_params_list[client])
            run.clients[number, int(client)] = state

    Server._test_ = lambda server, index, clients: None
    after_each_round(observe)
    settings = problem.settings
    samples = [problem.samples(client) for client in range(settings["clients"])]
    clients = [(problem.inputs[rows].numpy(), problem.labels[rows].numpy()) for rows in samples]
    feed(problem, clients)
    if method == "scaffold-own-steps":
        divide_by_own_steps(problem)
    options = {
        "--method": METHODS[method],
        "--comm-rounds": settings["rounds"],
        "--local-epochs": settings["local_epochs"],
        "--batchsize": settings["batch_size"],
        "--local-learning-rate": settings["lr"],
        "--lr-decay": 1,
        "--weight-decay": 0,
        "--global-learning-rate": settings["methods"]["scaffold"]["server_lr"],
        "--lamb": settings["methods"]["feddyn"]["alpha"],
    }
    with TemporaryDirectory() as folder:
        arguments = [str(word) for option in options.items() for word in option]
        run_train(lambda: network(problem), clients, arguments, Path(folder))
    return run, float(servers[0].time.sum())


if __name__ == "__main__":
    problem, method, out = Problem.read(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3]).absolute()
    run, seconds = train(problem, method)
    run.write(out, f"fl-simulator-{method}")
    write_costs(out / "costs.csv", "fl-simulator", VERSION, method, problem.settings["rounds"], seconds)
