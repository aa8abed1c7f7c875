"""Flower's baselines on the common problem: python run_baseline.py BASELINE PROBLEM METHOD OUT [OVERRIDE].

BASELINE is niid_bench (METHOD: fedavg, scaffold, fednova) or fednova (fedavg, fednova). Runs the baseline's
own `main`, in its own environment, with its folder in PYTHONPATH. Only its loaders are replaced, and its
evaluation, which saves the models here. OVERRIDE: one more of Hydra's, such as `clients_per_round=5`.
"""

import importlib
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import flwr
from common import Costs, problem_in, write_models
from net import Net
from start_net import FOLDER

SETTINGS = {
    "niid_bench": "--config-name={method}_base num_clients={clients} clients_per_round={clients} "
    "num_epochs={local_epochs} num_rounds={rounds} learning_rate={lr} momentum=0 weight_decay=0 "
    "~model.input_dim ~model.hidden_dims ~model.num_classes",
    "fednova": "strategy={method} optimizer=vanilla num_clients={clients} num_epochs={local_epochs} "
    "num_rounds={rounds} lr_scheduling=False optimizer.lr={lr} optimizer.weight_decay=0 "
    "datapath={folder}/ checkpoint_path={folder}/",
}
COMMON = (
    "model._target_=start_net.StartNet client_resources.num_cpus=2 client_resources.num_gpus=0 "
    "hydra.run.dir={folder}"
)
ROUND, PARTICIPANTS = "round.txt", "participants.txt"


class Epochs:
    """A client's loader: each iteration is the next epoch of the round that the server is in."""

    def __init__(self, folder, client):
        self.folder, self.client, self.epoch = Path(folder), client, 0
        self.problem_folder = os.environ[FOLDER]
        self.count = problem_in(self.problem_folder).settings["local_epochs"]

    @property
    def dataset(self):
        """Something as long as the client's data."""
        return range(problem_in(self.problem_folder).sizes[self.client])

    def __len__(self):
        return len(list(problem_in(self.problem_folder).batches(1, self.client))) // self.count

    def __iter__(self):
        number = int((self.folder / ROUND).read_text())
        batches = list(problem_in(self.problem_folder).batches(number, self.client))
        if self.epoch == 0:
            with (self.folder / PARTICIPANTS).open("a") as file:
                file.write(f"{number} {self.client}\n")
        first = self.epoch * len(self)
        self.epoch = (self.epoch + 1) % self.count  # a client that stays in memory begins again
        return iter(batches[first : first + len(self)])


class Saved:
    """An evaluation that saves the models, and tells the loaders the round that comes."""

    def __init__(self, folder):
        self.folder, self.models, self.costs = Path(folder), {}, Costs()

    def __call__(self, server_round, arrays, config):
        self.costs.round_ends()
        self.models[str(server_round)] = dict(zip(Net().state_dict(), arrays, strict=True))
        (self.folder / ROUND).write_text(str(server_round + 1))
        self.costs.round_begins()
        return 0.0, {"accuracy": 0.0}


def main(baseline, problem_folder, method, out, *overrides):
    os.environ[FOLDER] = str(Path(problem_folder).resolve())
    problem, out = problem_in(os.environ[FOLDER]), Path(out).resolve()
    module = importlib.import_module(f"{baseline}.main")
    with TemporaryDirectory() as folder:
        saved = Saved(folder)
        loaders = [Epochs(folder, client) for client in range(problem.settings["clients"])]
        if baseline == "niid_bench":
            module.load_datasets = lambda **settings: (loaders, loaders, None)
            module.gen_evaluate_fn = lambda *arguments, **settings: saved
        else:
            module.load_datasets = lambda settings: (loaders, None, list(map(int, problem.sizes)))
            module.test = lambda network, loader, device, *arguments: saved(*arguments)
        words = f"--config-path={{conf}} {SETTINGS[baseline]} {COMMON}".format(
            method=method, folder=folder, conf=Path(module.__file__).with_name("conf"), **problem.settings
        )
        sys.argv = [f"{baseline}.main", *words.split(), *overrides]
        module.main()
        participants = (Path(folder) / PARTICIPANTS).read_text()
    framework = {"niid_bench": "niid-bench", "fednova": "fednova-baseline"}[baseline]
    out.mkdir(parents=True, exist_ok=True)
    count = problem.settings["rounds"]
    write_models(out / f"{framework}-{method}.safetensors", saved.models, count + 1)
    (out / f"{framework}-{method}-participants.txt").write_text(participants)
    saved.costs.write(out, framework, f"fdef7af on flwr {flwr.__version__}", method, count)


if __name__ == "__main__":
    main(*sys.argv[1:])
