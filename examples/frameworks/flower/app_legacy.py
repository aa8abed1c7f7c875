"""A minimal app of Flower's older interface that saves its rounds: python app_legacy.py FOLDER."""

import sys

import torch
from flwr.client import ClientApp, NumPyClient
from flwr.common import ndarrays_to_parameters
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.simulation import run_simulation
from save_rounds_legacy import SaveRounds
from small_net import SmallNet
from small_training import SIZES, train


class SavedFedAvg(SaveRounds, FedAvg):
    """FedAvg whose rounds are saved."""


def values(network):
    return [value.numpy() for value in network.state_dict().values()]


class Client(NumPyClient):
    """A client that trains and says which it is."""

    def __init__(self, client):
        self.client = client

    def fit(self, parameters, config):
        network = SmallNet()
        tensors = map(torch.as_tensor, parameters)
        network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
        examples = train(network, self.client)
        return values(network), examples, {"partition-id": self.client}


def client_fn(context):
    return Client(context.node_config["partition-id"]).to_client()


def server_fn(context):
    torch.manual_seed(0)
    network = SmallNet()
    strategy = SavedFedAvg(
        folder=sys.argv[1],
        names=network.state_dict().keys(),
        initial_parameters=ndarrays_to_parameters(values(network)),
        min_fit_clients=len(SIZES),
        min_available_clients=len(SIZES),
        fraction_evaluate=0.0,
    )
    return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=3))


if __name__ == "__main__":
    run_simulation(ServerApp(server_fn=server_fn), ClientApp(client_fn), num_supernodes=len(SIZES))
