"""Flower's simulation of a task, with an ordinary client; `engine.py` starts it with Flower's own Python.

    PYTHONPATH=src FLOWER_PYTHON benchmarks/flower_simulation.py TASK OUT WORKERS

TASK: a file of `plain.Task`. OUT: receives the final state_dict and the seconds of each round. WORKERS: Ray
processes that train clients, each with one thread.

`run_simulation` is Flower's way to simulate from Python. A worker keeps the data that it has read, and no
client evaluates: Flower is timed at its best.
"""

import sys
import time

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from plain import client_loader, network, open_task, train_with_loader

client_app, server_app = ClientApp(), ServerApp()


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """One client's local epochs."""
    torch.set_num_threads(1)
    task = open_task(message.content["config"]["task"])
    module = network(task)
    module.load_state_dict(message.content["arrays"].to_torch_state_dict())
    loader = client_loader(task, context.node_config["partition-id"])
    loss = train_with_loader(task, module, loader)
    metrics = MetricRecord({"train_loss": loss, "num-examples": len(loader.dataset)})
    content = RecordDict({"arrays": ArrayRecord(module.state_dict()), "metrics": metrics})
    return Message(content=content, reply_to=message)


class TimedFedAvg(FedAvg):
    """FedAvg that notes when each round's messages are made and when its mean is."""

    def __init__(self, clients: int):
        super().__init__(fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients)
        self.seconds: list[float] = []

    def configure_train(self, *arguments, **keywords):
        self.began = time.perf_counter()
        return super().configure_train(*arguments, **keywords)

    def aggregate_train(self, *arguments, **keywords):
        result = super().aggregate_train(*arguments, **keywords)
        self.seconds.append(time.perf_counter() - self.began)
        return result


@server_app.main()
def serve(grid: Grid, context: Context) -> None:
    """All rounds, and the file with what came of them."""
    path, out, _ = sys.argv[1:]
    task = open_task(path)
    strategy = TimedFedAvg(len(task.clients))
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(task.initial),
        num_rounds=task.rounds,
        train_config=ConfigRecord({"task": path}),
    )
    torch.save({"state": result.arrays.to_torch_state_dict(), "seconds": strategy.seconds}, out)


if __name__ == "__main__":
    run_simulation(
        server_app=server_app,
        client_app=client_app,
        num_supernodes=len(open_task(sys.argv[1]).clients),
        backend_config={
            "init_args": {"num_cpus": int(sys.argv[3])},
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        },
    )
