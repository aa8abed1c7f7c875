"""A minimal app of Flower's Message API that saves its rounds: python app.py FOLDER."""

import sys

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from save_rounds import SaveRounds
from small_net import SmallNet
from small_training import SIZES, train

client_app, server_app = ClientApp(), ServerApp()


class SavedFedAvg(SaveRounds, FedAvg):
    """FedAvg whose rounds are saved."""


@client_app.train()
def fit(message, context):
    network, client = SmallNet(), context.node_config["partition-id"]
    network.load_state_dict(message.content["arrays"].to_torch_state_dict())
    examples = train(network, client)
    records = {
        "arrays": ArrayRecord(network.state_dict()),
        "metrics": MetricRecord({"num-examples": examples}),
        "who": ConfigRecord({"partition-id": client}),
    }
    return Message(RecordDict(records), reply_to=message)


@server_app.main()
def main(grid, context):
    torch.manual_seed(0)
    strategy = SavedFedAvg(
        folder=sys.argv[1],
        min_train_nodes=len(SIZES),
        min_available_nodes=len(SIZES),
        fraction_evaluate=0.0,
    )
    strategy.start(grid, ArrayRecord(SmallNet().state_dict()), num_rounds=3)


if __name__ == "__main__":
    run_simulation(server_app, client_app, num_supernodes=len(SIZES))
