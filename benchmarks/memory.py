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

from fedscape.checkpoints.state_dicts import write_weights
from fedscape.columns.identity import IDENTITY
from fedscape.command.prices import COLUMNS
from fedscape.command.work import SECTIONS, input_shape, model_label, work_of
from fedscape.data.partition import make_partition
from fedscape.evaluation.eigenvalues import HessianProduct, state_of
from fedscape.evaluation.evaluate import EvaluationSet, evaluate
from fedscape.evaluation.problem import open_problem
from fedscape.federated.batches import BatchSource
from fedscape.federated.train import train_run
from fedscape.jobs.job import keep_freed_memory
from fedscape.models.build import random_model
from fedscape.settings.plain import from_plain
from fedscape.settings.training import TrainingSettings
from fedscape.study.campaign import read_campaign
from fedscape.study.catalog import constant
from fedscape.study.files import read_yaml
from fedscape.study.grid import Run
from fedscape.study.jobs import jobs_of
from fedscape.study.stages.stage import analysed_runs

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
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
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
        work = work_of(study, job)
        if job.rule not in KINDS or work.shape.count("x") != 2:  # an image's
            continue
        names = job.wildcards
        if job.rule == "train":
            own = {name: names[name] for name in Run.__annotations__ if name in names}
            run = Run(**{**own, "seed": int(names["seed"])})
        else:
            run = analysed_runs(SECTIONS[job.rule], study, names)[0]
        settings, method = study.datasets[run.dataset], study.methods[run.method]
        asked = {
            "kind": KINDS[job.rule],
            "shape": input_shape(study, run.dataset),
            "border": ((settings.get("shorter_side") or settings.get("size", 0)) - settings.get("size", 0))
            // 2,
            "model": study.models[run.model],
            "samples": {
                split: constant("dataset", settings["kind"], f"{split.upper()}_SAMPLES") for split in SAMPLES
            },
        }
        if job.rule == "train":
            kept = ("batch_size", "augmentation", "precision", "optimiser", "momentum")
            asked["training"] = {key: method.training[key] for key in kept}
            asked["algorithm"], asked["server"] = dict(method.algorithm), dict(method.server)
        yield (KINDS[job.rule], model_label(study.models[run.model]), work.shape), asked


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
    settings = dict(model)
    name = settings.pop("kind")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sizes = {split: size if isinstance(size, int) else SAMPLES[split] for split, size in samples.items()}
        stand_in(folder / "data", tuple(shape), 10, **sizes, border=border)
        files = {"npz": folder / "partition.npz", "csv": folder / "partition.csv"}
        make_partition(folder / "data", "iid", CLIENTS, {}, 0, 0, None, None, 0, NAMES, **files)
        module = random_model(name, settings, tuple(shape), 10, seed=0)
        write_weights(folder / "initial.safetensors", module.state_dict())
        del module
        with watched() as peak:
            if kind == "train":
                run(folder, name, settings, training, algorithm, server)
            else:
                analyse(folder, name, settings, kind)
    return peak[0]


def shorten(batches: int) -> None:
    """Have jobs stop after some batches: what comes after takes no more memory."""
    whole, used = EvaluationSet.batches, BatchSource.used_samples
    EvaluationSet.batches = lambda self: islice(whole(self), batches)
    BatchSource.used_samples = lambda self, count: min(used(self, count), STEPS * self.training.batch_size)


def run(folder, name, settings, training, algorithm, server) -> None:
    """A round of two clients, evaluated before and after."""
    outputs = ("trajectory", "clients", "rounds", "final", "timing", "run")
    train_run(
        identity=NAMES,
        dataset=folder / "data",
        partition=folder / "partition.npz",
        initial=folder / "initial.safetensors",
        model=name,
        model_settings=settings,
        algorithm=algorithm.pop("kind"),
        algorithm_settings=algorithm,
        server=server.pop("kind"),
        server_settings=server,
        training=from_plain(TrainingSettings, {**training, "rounds": 1}),
        seed=0,
        order_seed=0,
        keep_rounds="all",
        client_rounds=[1],
        client_paths=False,
        device="cpu",
        fingerprint="memory",
        resume=folder / "resume",
        **{output: folder / output for output in outputs},
    )


def analyse(folder, name, settings, kind) -> None:
    """An evaluation of all samples, or a Hessian product on them."""
    problem = open_problem(
        name, settings, folder / "data", folder / "partition.npz", None, 0, torch.device("cpu")
    )
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
