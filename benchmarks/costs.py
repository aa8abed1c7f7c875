"""Seconds a sample of every network that the studies train: the rows of config/costs.csv.

`fedscape cost` multiplies them by what a study computes, until there are results of this clone's own. A step
is forward, backward and SGD; an evaluation is forward. Data are noise. One thread, or the whole GPU.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/costs.py >> config/costs.csv
    .venv/bin/python benchmarks/costs.py --device cuda --scales paper >> config/costs.csv
"""

import csv
import statistics
import sys
import time
from datetime import UTC, datetime

import torch
from measured import ROOT, Options, Place
from torch.nn.functional import cross_entropy

from fedscape.command.data_sizes import input_shape
from fedscape.command.prices import PRICE_COLUMNS
from fedscape.command.work import model_label
from fedscape.evaluation.device import prepare_device
from fedscape.jobs.job import keep_freed_memory
from fedscape.models.build import random_model
from fedscape.study.campaign import read_campaign
from fedscape.study.files import read_yaml

CLASSES = 10
EVALUATED = 2  # times a step's batch
WARM_UP = 1


def main() -> None:
    """Print a row per network, shape and quantity."""
    parser = Options(__doc__, scales=["smoke"], repetitions=1, batch=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--machine", help="by default its processor and cores")
    parser.add_argument("--scales", nargs="+", default=["paper", "small", "quick"])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--batch", type=int, help="instead of the smallest that a study uses")
    given = parser.read()
    device = prepare_device(given.device)
    keep_freed_memory()
    torch.set_num_threads(1)
    place = Place.here()
    machine = given.machine or f"{place.processor}, {place.cores} cores"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    campaign = read_campaign(ROOT, read_yaml(ROOT / "config" / "config.yaml"))
    writer = csv.DictWriter(sys.stdout, PRICE_COLUMNS, lineterminator="\n")
    for (label, shape), (settings, batch) in wanted(campaign, given.scales).items():
        measured = measure(settings, shape, given.batch or batch, device, given.repetitions)
        for kind, value in measured.items():
            row = {"kind": kind, "name": label, "shape": "x".join(map(str, shape)), "device": name}
            how = f"benchmarks/costs.py, batch {given.batch or batch}, one thread, commit {place.commit}"
            day = datetime.now(UTC).date().isoformat()
            writer.writerow(
                row
                | {
                    "value": value if kind == "parameters" else f"{value:.4g}",
                    "date": day,
                    "machine": machine,
                    "how": how,
                }
            )
        sys.stdout.flush()


def wanted(campaign, scales) -> dict:
    """Each network and shape of the studies' runs at these scales, with the smallest batch that trains it."""
    found: dict = {}
    for study in [campaign.get(name, scale) for name, scale in campaign.every if scale in scales]:
        for run in study.runs:
            shape = input_shape(study, run.dataset)
            if shape is not None and run.path not in study.imports:
                key = model_label(study.models[run.model].keys), shape
                batch = study.method(run.method).training.batch_size
                known = found.get(key, (None, batch))[1]
                found[key] = study.models[run.model].keys, min(batch, known)
    return found


def measure(settings: dict, shape: tuple, batch: int, device: torch.device, repetitions: int) -> dict:
    """Seconds a sample of a step and of an evaluation, and the number of parameters."""
    settings = dict(settings)
    module = random_model(settings.pop("kind"), settings, shape, CLASSES, 0).to(device)
    tokens = len(shape) == 1
    draw = torch.Generator().manual_seed(0)

    def samples(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        if tokens:
            inputs = torch.randint(CLASSES, (count, *shape), generator=draw)
            return inputs.to(device), inputs.to(device)
        inputs = torch.randn(count, *shape, generator=draw)
        return inputs.to(device), torch.randint(CLASSES, (count,), generator=draw).to(device)

    optimiser = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9)

    def step(inputs, labels) -> None:
        optimiser.zero_grad()
        cross_entropy(module(inputs), labels).backward()  # of tokens, too, classes come second
        optimiser.step()

    @torch.no_grad()
    def evaluate(inputs, labels) -> None:
        module(inputs)

    # One thread's own seconds: other work on the machine counts little.
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    taken = {}
    for kind, call, count, training in (
        ("step", step, batch, True),
        ("evaluation", evaluate, EVALUATED * batch, False),
    ):
        module.train(training)
        inputs, labels = samples(count)
        times = []
        for _ in range(WARM_UP + repetitions):
            begin = clock()
            call(inputs, labels)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append((clock() - begin) / count)
        taken[kind] = statistics.median(times[WARM_UP:])
    return {**taken, "parameters": sum(one.numel() for one in module.parameters())}


if __name__ == "__main__":
    main()
