"""Control variates of the baseline `niid_bench` start as the model's weights, the server's and the clients'.

    PYTHONPATH=baselines/niid_bench python scaffold_weights.py    (commit fdef7af, in its environment)

Two clients take one step each at rate 1 on a loss that is linear in the one weight, with gradients 1 and 3.
Where all take part, the weights cancel. Where one takes part in a round, what is left of them in the server's
control variate stands in each correction c - c_i, which the paper starts at 0.
"""

from tempfile import TemporaryDirectory
from types import SimpleNamespace

import torch
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from niid_bench import client_scaffold, models, server_scaffold
from niid_bench.strategy import ScaffoldStrategy

GRADIENTS = (1.0, 3.0)
START = 100.0


class Weight(torch.nn.Module):
    """One weight; the loss is its product with the data."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([START]))

    def forward(self, data):
        return self.w * data


class Loader(list):
    """One batch of one sample."""

    dataset = (0,)


class Proxy:
    """A client that is called directly."""

    def __init__(self, client, folder):
        data = Loader([(torch.tensor([GRADIENTS[client]]), torch.zeros(1))])
        make = client_scaffold.FlowerClientScaffold
        self.client = make(client, Weight(), data, data, torch.device("cpu"), 1, 1.0, 0.0, 0.0, folder)

    def fit(self, ins, timeout):
        arrays = parameters_to_ndarrays(ins.parameters)
        arrays, examples, metrics = self.client.fit(arrays, {})
        return FitRes(Status(Code.OK, ""), ndarrays_to_parameters(arrays), examples, metrics)


def weights(rounds):
    """The weight after each round, whose clients `rounds` lists."""
    with TemporaryDirectory() as folder:
        proxies = [Proxy(client, folder) for client in range(len(GRADIENTS))]
        strategy = ScaffoldStrategy()
        manager = SimpleNamespace(num_available=lambda: 2, all=lambda: proxies)
        server = server_scaffold.ScaffoldServer(strategy, {"_target_": "torch.nn.Identity"}, manager)
        start = torch.tensor([START])  # of both, as `_get_initial_parameters` has it
        server.parameters, server.server_cv = ndarrays_to_parameters([start.numpy()]), [start.clone()]
        result = []
        for number, members in enumerate(rounds, 1):
            strategy.configure_fit = lambda server_round, parameters, client_manager, members=members: [
                (proxies[client], SimpleNamespace(parameters=parameters)) for client in members
            ]
            server.parameters, _, _ = server.fit_round(number, None)
            result.append(parameters_to_ndarrays(server.parameters)[0].item())
        return result


def papers(rounds):
    """SCAFFOLD with option II."""
    weight, control, controls, result = START, 0.0, [0.0] * len(GRADIENTS), []
    for members in rounds:
        moves, news = [], {}
        for client in members:
            move = GRADIENTS[client] - controls[client] + control
            moves.append(move)
            news[client] = controls[client] - control + move
        control += sum(news[client] - controls[client] for client in members) / len(GRADIENTS)
        for client, new in news.items():
            controls[client] = new
        weight -= sum(moves) / len(moves)
        result.append(weight)
    return result


models.nn.CrossEntropyLoss = lambda: lambda output, target: output.sum()
for rounds in ([(0, 1)] * 4, [(0,), (1,), (0,), (1,)]):
    print(f"clients of rounds {rounds}: {weights(rounds)}, by the paper {papers(rounds)}")
