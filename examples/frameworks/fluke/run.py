"""The common problem in fluke: its own clients, servers and loop, on the batches that all frameworks get.

    python examples/frameworks/fluke/run.py PROBLEM METHOD OUT

in an environment with fluke-fl 0.8.1 (README.md). METHOD: fedavg, scaffold, feddyn, fednova, where the
order of the loaders is all that is replaced; feddyn-mended or fednova-mended for the rules of mended.py.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

from fluke import DDict, FlukeENV
from fluke.algorithms import CentralizedFL
from fluke.algorithms.fedavg import FedAVG
from fluke.algorithms.feddyn import FedDyn
from fluke.algorithms.fednova import FedNova
from fluke.algorithms.scaffold import SCAFFOLD
from fluke.data import DataSplitter, DummyDataContainer, FastDataLoader
from fluke.evaluation import ClassificationEval
from mended import MendedFedDyn, MendedFedNova

sys.path.append(str(Path(__file__).parents[1]))  # after fluke: this folder's name is the package's
from exchange import Problem, Run, copied, write_costs
from net import Net

ALGORITHMS = {
    "fedavg": FedAVG,
    "scaffold": SCAFFOLD,
    "feddyn": FedDyn,
    "fednova": FedNova,
    "feddyn-mended": MendedFedDyn,
    "fednova-mended": MendedFedNova,
}


class FixedBatches(FastDataLoader):
    """fluke's loader with the problem's batches: each pass is the client's next epoch."""

    def __init__(self, problem: Problem, client: int):
        positions = problem.samples(client)
        super().__init__(
            problem.inputs[positions],
            problem.labels[positions],
            num_labels=10,
            batch_size=problem.settings["batch_size"],
            shuffle=False,
            skip_singleton=False,
        )
        self._epochs = (
            epoch
            for number in range(1, problem.settings["rounds"] + 1)
            for epoch in problem.epochs(number, client)
        )

    def __iter__(self):
        return iter(next(self._epochs))


def algorithm(problem: Problem, method: str) -> CentralizedFL:
    """fluke's algorithm: SGD at a constant rate, no clipping, means over clients as in the papers."""
    FlukeENV().set_evaluator(ClassificationEval(eval_every=1, n_classes=10))
    FlukeENV().set_eval_cfg(pre_fit=False, post_fit=False, locals=False, server=False)
    clients = [FixedBatches(problem, i) for i in range(problem.settings["clients"])]
    data = DummyDataContainer(clients, [None] * len(clients), None, num_classes=10)
    network = Net()
    network.load_state_dict(problem.start)
    client = {
        "batch_size": problem.settings["batch_size"],
        "local_epochs": problem.settings["local_epochs"],
        "loss": "CrossEntropyLoss",
        "optimizer": {"name": "SGD", "lr": problem.settings["lr"]},
        "scheduler": {"name": "StepLR", "step_size": 1, "gamma": 1},
        "clipping": 0,
    }
    server = {"weighted": True}
    if method.startswith("feddyn"):
        server = {"weighted": False}
        client["alpha"] = problem.settings["methods"]["feddyn"]["alpha"]
    if method == "scaffold":
        server = {"weighted": False, "global_step": problem.settings["methods"]["scaffold"]["server_lr"]}
    settings = DDict(client=DDict(**client), server=DDict(**server), model=network)
    return ALGORITHMS[method](len(clients), DataSplitter(data), settings)


def sent(built: CentralizedFL) -> dict:
    """The model that the server sends next: of FedDyn's two the one that clients start from."""
    return copied(getattr(built.server, "cld_mdl", built.server.model).state_dict())


def trained(problem: Problem, built: CentralizedFL) -> Run:
    """All models of a run, noted where fluke itself would save them, at the end of each round."""

    class Recorder:
        def __init__(self):
            self.run = Run()
            self.run.rounds[0] = sent(built)

        def end_round(self, round: int) -> None:
            self.run.rounds[round] = sent(built)
            for client in built.clients:
                self.run.clients[round, client.index] = copied(client.model.state_dict())

    recorder = Recorder()
    built.attach(recorder)
    built.run(problem.settings["rounds"], 1.0)
    return recorder.run


if __name__ == "__main__":
    folder, method, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    problem = Problem.read(folder)
    built = algorithm(problem, method)
    begun = time.perf_counter()
    run = trained(problem, built)
    seconds = time.perf_counter() - begun
    run.write(out, f"fluke-{method}")
    costs = ("fluke", version("fluke-fl"), method, problem.settings["rounds"], seconds)
    write_costs(out / "costs.csv", *costs)
