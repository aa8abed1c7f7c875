"""Flower's own strategies on the common problem, by its simulation: python run.py PROBLEM METHOD OUT."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import flwr
from common import Costs, Run, problem_in, train, write
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedYogi
from flwr.simulation import run_simulation
from net import Net
from safetensors.torch import load_file
from save_rounds import SaveRounds

STRATEGIES = {
    "fedavg": (FedAvg, {}),
    "fedavgm": (FedAvgM, {"server_learning_rate": "server_lr", "server_momentum": "momentum"}),
    "fedadam": (FedAdam, {"eta": "server_lr", "beta_1": "beta1", "beta_2": "beta2", "tau": "tau"}),
    "fedyogi": (FedYogi, {"eta": "server_lr", "beta_1": "beta1", "beta_2": "beta2", "tau": "tau"}),
    "fedadagrad": (FedAdagrad, {"eta": "server_lr", "tau": "tau"}),
}
"""Class of each method, and what its arguments are called in settings.json."""
OF_ADAM = ("fedyogi", "fedadagrad")  # methods that take FedAdam's settings

client_app = ClientApp()


@client_app.train()
def fit(message, context):
    config = message.content["config"]
    problem, client = problem_in(config["problem"]), int(context.node_config["partition-id"])
    network = Net()
    network.load_state_dict(message.content["arrays"].to_torch_state_dict())
    train(network, problem.steps(config["server-round"], client), problem.settings["lr"])
    records = {
        "arrays": ArrayRecord(network.state_dict()),
        "metrics": MetricRecord({"num-examples": problem.sizes[client]}),
        "who": ConfigRecord({"partition-id": client}),
    }
    return Message(RecordDict(records), reply_to=message)


class TimedRounds(SaveRounds):
    """Rounds that are saved and timed."""

    costs = Costs()

    def configure_train(self, *arguments):
        self.costs.round_begins()
        return super().configure_train(*arguments)

    def aggregate_train(self, *arguments):
        result = super().aggregate_train(*arguments)
        self.costs.round_ends()
        return result


def saved_run(folder):
    """The models that `SaveRounds` wrote."""
    run = Run()
    for path in sorted(Path(folder).rglob("*.safetensors")):
        parts = path.relative_to(folder).with_suffix("").parts
        numbers = tuple(int(part.rpartition("-")[2]) for part in parts)
        if len(numbers) == 1:
            run.rounds[numbers[0]] = load_file(path)
        else:
            run.clients[numbers] = load_file(path)
    return run


def main(problem_folder, method, out):
    problem = problem_in(problem_folder)
    strategy, names = STRATEGIES[method]
    of_method = problem.settings["methods"]["fedadam" if method in OF_ADAM else method]
    server_app = ServerApp()

    with TemporaryDirectory() as folder:
        start = {name: problem.start[name] for name in Net().state_dict()}  # in its order: fedavgm_order.py

        @server_app.main()
        def serve(grid, context):
            saving = type(f"Saved{strategy.__name__}", (TimedRounds, strategy), {})(
                folder=folder,
                min_train_nodes=problem.settings["clients"],
                min_available_nodes=problem.settings["clients"],
                fraction_evaluate=0.0,
                **{own: of_method[name] for own, name in names.items()},
            )
            saving.start(
                grid,
                ArrayRecord(start),
                num_rounds=problem.settings["rounds"],
                train_config=ConfigRecord({"problem": str(Path(problem_folder).resolve())}),
            )

        run_simulation(server_app, client_app, num_supernodes=problem.settings["clients"])
        run = saved_run(folder)
    write(out, "flower", flwr.__version__, method, run, TimedRounds.costs, problem)


if __name__ == "__main__":
    main(*sys.argv[1:])
