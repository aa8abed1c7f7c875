"""The common problem in FL-bench: its own main.py, clients and servers, on the batches that all get.

    PYTHONPATH=CLONE:examples/frameworks python examples/frameworks/fl-bench/run.py PROBLEM METHOD OUT

in an environment with FL-bench's requirements (README.md). METHOD: fedavg, scaffold, feddyn, where the
order of the loader is all that is replaced; scaffold-mended (mended.py), feddyn-mended (weight decay
alpha), or scaffold-epochs (FL-bench's `local_epoch` is the number of epochs, as in its other methods).
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from exchange import Run, copied, write_costs
from mended import keep_controls
from net import Net
from save_rounds import watch
from src.server.fedavg import FedAvgServer
from system import FixedBatches, Problem, decoupled, run_main, write_data

COMMIT = "06e658b"  # of the clone
OUR_NAMES = {"base.1": "hidden", "classifier": "head"}


def network(**_: object):
    """Net in FL-bench's two parts."""
    net = Net()
    base = torch.nn.Sequential(torch.nn.Flatten(), net.hidden, torch.nn.ReLU())
    return decoupled(base, net.head)()


def ours(state: Mapping[str, torch.Tensor]) -> dict:
    """A copy of a state_dict of FL-bench's with the names of Net."""
    split = {name: name.rsplit(".", 1) for name in state}
    return copied({f"{OUR_NAMES[part]}.{entry}": state[name] for name, (part, entry) in split.items()})


def settings_of(problem: Problem, method: str) -> dict[str, object]:
    """What main.py is told: SGD at a constant rate, no clipping."""
    common, (method, *variant) = problem.settings, method.split("-")
    settings = {
        "method": method,
        "common.global_epoch": common["rounds"],
        "common.local_epoch": common["local_epochs"],
        "common.batch_size": common["batch_size"],
        "optimizer.lr": common["lr"],
    }
    if method == "scaffold":  # which counts local minibatches, the same number for all clients
        (steps,) = {len(problem.steps(1, i)) for i in range(common["clients"])}
        settings["+scaffold.global_lr"] = common["methods"]["scaffold"]["server_lr"]
        if variant != ["epochs"]:
            settings["common.local_epoch"] = steps
    if method == "feddyn":
        settings |= {"+feddyn.alpha": common["methods"]["feddyn"]["alpha"], "+feddyn.max_grad_norm": "1e9"}
        if variant:
            settings["optimizer.weight_decay"] = common["methods"]["feddyn"]["alpha"]
    return settings


def record(problem: Problem) -> tuple[Run, list[float]]:
    """The models of a run that is to come, and the moments when its rounds begin or end."""
    run, moments = Run(), []

    def noted(server: FedAvgServer, numbers: tuple[int, ...], model: Mapping[str, torch.Tensor]) -> None:
        if numbers == (0,):
            server.trainer.worker.trainloader = FixedBatches(problem, server.trainer)
        if len(numbers) == 1:
            run.rounds[numbers[0]] = ours(model)
            moments.append(time.perf_counter())
        else:
            run.clients[numbers] = ours(model)

    watch(noted)
    return run, moments


def trained(problem: Problem, method: str) -> tuple[Run, float]:
    """The models of a run and its seconds."""
    if method == "scaffold-mended":
        keep_controls()
    run, moments = record(problem)
    with TemporaryDirectory() as folder:
        write_data(Path(folder), [problem.samples(i).tolist() for i in range(problem.settings["clients"])])
        start = {f"base.1.{e}": problem.start[f"hidden.{e}"] for e in ("weight", "bias")}
        start |= {f"classifier.{e}": problem.start[f"head.{e}"] for e in ("weight", "bias")}
        torch.save(start, Path(folder) / "start.pt")
        settings = {**settings_of(problem, method), "model.external_model_weights_path": "start.pt"}
        run_main(Path(folder), problem.inputs, problem.labels, network, settings)
    return run, moments[-1] - moments[0]


if __name__ == "__main__":
    folder, method, out = Path(sys.argv[1]).resolve(), sys.argv[2], Path(sys.argv[3]).resolve()
    problem = Problem.read(folder)
    run, seconds = trained(problem, method)
    run.write(out, f"fl-bench-{method}")
    write_costs(out / "costs.csv", "fl-bench", COMMIT, method, problem.settings["rounds"], seconds)
