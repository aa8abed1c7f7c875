"""Largest memory of the jobs that the studies send, on data sets of the real size: rows of config/costs.csv.

A process of its own does what a job does with arrays that have holes (`stand_in.py`): it opens all samples,
then trains two clients for a step by every algorithm (`train`), evaluates two batches (`evaluation`: what
planes, surfaces, paths and barriers do) or computes a Hessian product with eight batches (`product`). What
comes after is more of the same. Counted is the process's own memory, libraries included, on a CPU; a job on a
GPU has less of the network there and more of CUDA, which has not been measured.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/memory.py >> config/costs.csv
"""

import csv
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import torch
from measured import ROOT, Options, Place
from stand_in import stand_in

from fedscape.checkpoints.run_files import RunOutputs
from fedscape.checkpoints.state_dicts import write_weights
from fedscape.columns.identity import IDENTITY
from fedscape.command.data_sizes import input_shape
from fedscape.command.prices import PRICE_COLUMNS
from fedscape.command.work import model_label, work_of
from fedscape.data.partition import make_partition
from fedscape.evaluation.eigenvalues import HessianProduct, state_of
from fedscape.evaluation.evaluate import EvaluationSet, evaluate
from fedscape.evaluation.problem import ProblemSpec, open_problem
from fedscape.federated.batches import BatchSource
from fedscape.federated.train import FederatedMethod, RunInputs, train_run
from fedscape.jobs.job import keep_freed_memory
from fedscape.jobs.resume import Resume
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.settings.plain import from_plain, to_plain
from fedscape.settings.runs import KeptModels, RunSeeds
from fedscape.settings.samples import UsedSamples
from fedscape.settings.training import TrainingSettings
from fedscape.study.campaign import read_campaign
from fedscape.study.catalog import constant
from fedscape.study.files import read_yaml
from fedscape.study.grid import Run, runs_of
from fedscape.study.jobs import jobs_of
from fedscape.study.stages.every import STAGES

SAMPLES = {"train": 250_000, "test": 10_000}  # of a data set that must be prepared: ImageNet-200 has as many
STEPS, EVALUATED, KEPT = 1, 2, 8  # batches
CLIENTS = 2
KINDS = {  # of work, by rule
    "train": "train",
    **dict.fromkeys(("plane", "surface", "path", "layers"), "evaluation"),
    "curvature": "product",
}
NAMES = dict.fromkeys(IDENTITY, "*")


def main() -> None:
    """Print a row per network, shape and kind of work."""
    parser = Options(__doc__, scales=["smoke"], studies=["remedies"])
    parser.add_argument("--scales", nargs="+", default=["paper"])
    parser.add_argument("--studies", nargs="+", help="by default all")
    parser.add_argument("--machine", help="by default its processor and cores")
    parser.add_argument("--one", help="what to measure in this process, as JSON")
    given = parser.read()
    if given.one:
        print(measure(**json.loads(given.one)))
        return
    place = Place.here()
    campaign = read_campaign(ROOT, read_yaml(ROOT / "config" / "config.yaml"))
    found: dict = {}
    for name, scale in campaign.every:
        if scale in given.scales and (given.studies is None or name in given.studies):
            for key, asked in wanted(campaign.get(name, scale)):
                algorithm, training = asked.get("algorithm", {}), asked.get("training", {})
                alike = algorithm.get("kind"), algorithm.get("subnets"), training.get("batch_size")
                found.setdefault(key, {})[alike] = json.dumps(asked)
    writer = csv.DictWriter(sys.stdout, PRICE_COLUMNS, lineterminator="\n")
    for (kind, label, shape), several in found.items():
        row = {"kind": f"{kind}-memory", "name": label, "shape": shape, "device": "cpu"}
        row["value"] = max(map(in_process, several.values()))
        row["date"] = datetime.now(UTC).date().isoformat()
        row["machine"] = given.machine or f"{place.processor}, {place.cores} cores"
        row["how"] = f"benchmarks/memory.py, largest of {len(several)}, one thread, commit {place.commit}"
        writer.writerow(row)
        sys.stdout.flush()


def wanted(study) -> Iterator[tuple[tuple, dict]]:
    """What the jobs of a study do with images: kind of work, network and shape; and how it is measured."""
    for job in jobs_of(study):
        work = work_of(study, job.rule, job.names)
        if job.rule not in KINDS or work.shape.count("x") != 2:  # an image's
            continue
        names = job.wildcards
        if job.rule == "train":
            run = Run.of(names)
        else:
            group = study.analyses[STAGES[job.rule].section][names["name"]].groups[names["group"]]
            run = runs_of(group)[0]
        dataset, method = study.datasets[run.dataset], study.methods[run.method]
        size = dataset.settings.get("size", 0)
        asked = {
            "kind": KINDS[job.rule],
            "shape": input_shape(study, run.dataset),
            "border": ((dataset.settings.get("shorter_side") or size) - size) // 2,
            "model": study.models[run.model].keys,
            "samples": {
                split: constant("dataset", dataset.kind, f"{split.upper()}_SAMPLES") for split in SAMPLES
            },
        }
        if job.rule == "train":
            kept = ("batch_size", "augmentation", "precision", "optimiser", "momentum")
            asked["training"] = {key: to_plain(getattr(method.training, key)) for key in kept}
            asked["algorithm"], asked["server"] = method.algorithm.keys, method.server.keys
        yield (KINDS[job.rule], model_label(study.models[run.model].keys), work.shape), asked


def in_process(asked: str) -> int:
    """Bytes of a fresh process that does this."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", asked], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout.splitlines()[-1])


def measure(kind, shape, border, model, samples, training=None, algorithm=None, server=None) -> int:
    """Bytes of this process at its peak."""
    keep_freed_memory()
    torch.set_num_threads(1)
    shorten(KEPT if kind == "product" else EVALUATED)
    network = Plugin.of(model)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sizes = {split: size if isinstance(size, int) else SAMPLES[split] for split, size in samples.items()}
        stand_in(folder / "data", tuple(shape), 10, **sizes, border=border)
        files = {"npz": folder / "partition.npz", "csv": folder / "partition.csv"}
        make_partition(
            dataset=folder / "data",
            scheme=Plugin("iid"),
            clients=CLIENTS,
            partition_seed=0,
            samples=UsedSamples(seed=0),
            identity=NAMES,
            **files,
        )
        module = random_model(network.kind, dict(network.settings), tuple(shape), 10, seed=0)
        write_weights(folder / "initial.safetensors", module.state_dict())
        del module
        with watched() as peak:
            if kind == "train":
                run(folder, network, training, algorithm, server)
            else:
                analyse(folder, network, kind)
    return peak[0]


def shorten(batches: int) -> None:
    """Have jobs stop after some batches: what comes after takes no more memory."""
    whole, used = EvaluationSet.batches, BatchSource.used_samples
    EvaluationSet.batches = lambda self: islice(whole(self), batches)
    BatchSource.used_samples = lambda self, count: min(used(self, count), STEPS * self.training.batch_size)


def run(folder, model, training, algorithm, server) -> None:
    """A round of two clients, evaluated before and after."""
    outputs = ("trajectory", "clients", "rounds", "final", "timing", "run")
    train_run(
        identity=NAMES,
        inputs=RunInputs(folder / "data", folder / "partition.npz", folder / "initial.safetensors"),
        model=model,
        method=FederatedMethod(
            algorithm=Plugin.of(algorithm),
            server=Plugin.of(server),
            training=from_plain(TrainingSettings, {**training, "rounds": 1}),
        ),
        seeds=RunSeeds(seed=0, order_seed=0),
        kept=KeptModels("all", client_rounds=[1]),
        outputs=RunOutputs(**{output: folder / output for output in outputs}),
        resume=Resume(folder / "resume", "memory"),
    )


def analyse(folder, model, kind) -> None:
    """An evaluation of all samples, or a Hessian product on them."""
    problem = open_problem(ProblemSpec(model, folder / "data", folder / "partition.npz"))
    _, vector, buffers = state_of(problem.module)
    if kind == "product":
        HessianProduct.of(problem, vector, buffers)(torch.ones_like(vector))
    else:
        for data in (problem.train, problem.test):
            evaluate(problem.module, *problem.tensors(vector, buffers, "keep"), data)


@contextmanager
def watched() -> Iterator[list[int]]:
    """The largest memory of this process that no file backs, so far and within the block."""
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            lines = Path("/proc/self/status").read_text().splitlines()
            own = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
            peak[0] = max(peak[0], own)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()
