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
import torch
from common import Costs, Run, problem_in, write
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

    @property
    def problem(self):
        return problem_in(os.environ[FOLDER])

    @property
    def dataset(self):
        """Something as long as the client's data."""
        return range(self.problem.sizes[self.client])

    def __len__(self):
        return len(next(self.problem.epochs(1, self.client)))

    def __iter__(self):
        number = int((self.folder / ROUND).read_text())
        epochs = list(self.problem.epochs(number, self.client))
        if self.epoch == 0:
            with (self.folder / PARTICIPANTS).open("a") as file:
                file.write(f"{number} {self.client}\n")
        steps = epochs[self.epoch]
        self.epoch = (self.epoch + 1) % len(epochs)  # a client that stays in memory begins again
        return iter(steps)


class Saved:
    """An evaluation that saves the models, and tells the loaders the round that comes."""

    def __init__(self, folder):
        self.folder, self.run, self.costs = Path(folder), Run(), Costs()

    def __call__(self, server_round, arrays, config):
        self.costs.round_ends()
        tensors = map(torch.as_tensor, arrays)
        self.run.rounds[server_round] = dict(zip(Net().state_dict(), tensors, strict=True))
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
            module.load_datasets = lambda settings: (loaders, None, problem.sizes)
            module.test = lambda network, loader, device, *arguments: saved(*arguments)
        words = f"--config-path={{conf}} {SETTINGS[baseline]} {COMMON}".format(
            method=method, folder=folder, conf=Path(module.__file__).with_name("conf"), **problem.settings
        )
        sys.argv = [f"{baseline}.main", *words.split(), *overrides]
        module.main()
        participants = (Path(folder) / PARTICIPANTS).read_text()
    framework = {"niid_bench": "niid-bench", "fednova": "fednova-baseline"}[baseline]
    write(out, framework, f"fdef7af on flwr {flwr.__version__}", method, saved.run, saved.costs, problem)
    (out / f"{framework}-{method}-participants.txt").write_text(participants)


if __name__ == "__main__":
    main(*sys.argv[1:])
