"""Splits that are too large to be copied are read where they lie, on disk: the same bits, in little memory.

As a script, `python test_on_disk.py STAGE FOLDER` does what a stage does with 320 MB of images of which 16 may be
copied, and prints by how many MB its own memory (pages of files are not) was larger at its peak than before.
"""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from small_run import contents, prepare, run_once

from fedscape.checkpoints.state_dicts import write_weights
from fedscape.data.partition import make_partition
from fedscape.data.storage import open_dataset
from fedscape.evaluation import on_disk
from fedscape.evaluation.batch_norm import recalibrated
from fedscape.evaluation.eigenvalues import HessianProduct, state_of
from fedscape.evaluation.evaluate import EvaluationSet, evaluate
from fedscape.evaluation.on_disk import OnDisk, copied_or_left
from fedscape.evaluation.problem import ProblemSpec, open_problem
from fedscape.federated.aggregation_weights import input_variances
from fedscape.federated.batches import BatchSource
from fedscape.federated.run_samples import RunSamples
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples
from fedscape.settings.training import TrainingSettings

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
MEGABYTE = 2**20
COPIED = 16 * MEGABYTE
SHAPE, TRAIN, TEST, CLIENTS = (1, 512, 512), 1280, 8, 40
MODEL = {"blocks": [1], "width": 4, "stem": "imagenet"}
CPU = torch.device("cpu")


def test_rows_on_disk_are_those_of_a_tensor(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "array.npy", array)
    indices = np.array([3, 19, 4, 0, 7])
    there = OnDisk(np.load(tmp_path / "array.npy", mmap_mode="r"), indices, CPU)
    tensor = torch.from_numpy(array[indices])
    assert (there.shape, there.ndim, there.device) == (tensor.shape, tensor.ndim, tensor.device)
    for rows in (slice(1, 4), slice(None), torch.tensor([4, 0]), torch.tensor([[1, 1], [3, 2]])):
        assert torch.equal(there[rows], tensor[rows]) and there[rows].dtype == tensor.dtype


def test_a_split_is_copied_up_to_a_limit(tmp_path, monkeypatch):
    np.save(tmp_path / "array.npy", np.arange(600, dtype=np.int32).reshape(100, 6))
    array, indices = np.load(tmp_path / "array.npy", mmap_mode="r"), np.arange(99, -1, -2)
    monkeypatch.setattr(on_disk, "BLOCK_BYTES", 7 * 24)
    for limit, kind in ((50 * 24, torch.Tensor), (50 * 24 - 1, OnDisk)):
        monkeypatch.setattr(on_disk, "MOST_COPIED", limit)
        found = copied_or_left(array, indices, CPU)
        assert type(found) is kind and torch.equal(found[:], torch.from_numpy(array[indices]))


def test_a_run_has_the_same_bits_from_the_disk(tmp_path, monkeypatch):
    prepare(tmp_path)
    changes = {
        "rounds": 3,
        "augmentation": {"crop": 1, "flip": 0.5, "normalise": "client"},
        "weights": "inverse-input-variance",
    }
    copied = contents(run_once(tmp_path, out="copied", **changes))
    monkeypatch.setattr(on_disk, "MOST_COPIED", 0)
    assert contents(run_once(tmp_path, out="left", **changes)) == copied


def test_analyses_have_the_same_bits_from_the_disk(tmp_path, monkeypatch):
    prepare(tmp_path)
    found = []
    for limit in (on_disk.MOST_COPIED, 0):
        monkeypatch.setattr(on_disk, "MOST_COPIED", limit)
        problem = open_problem(
            ProblemSpec(Plugin("resnet20"), tmp_path / "data", tmp_path / "partition.npz", samples=30)
        )
        assert isinstance(problem.train.inputs, torch.Tensor if limit else OnDisk)
        parameters, buffers = dict(problem.module.named_parameters()), dict(problem.module.named_buffers())
        fresh = recalibrated(problem.module, parameters, buffers, problem.train)
        layout, vector, _ = state_of(problem.module)
        product = HessianProduct.of(problem, vector, fresh)(torch.ones_like(vector))
        assert layout == problem.layout
        found.append([evaluate(problem.module, parameters, fresh, problem.test), product])
    assert found[0][0] == found[1][0] and torch.equal(found[0][1], found[1][1])


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """What a run takes, with 320 MB of images that take no room."""
    sys.path.insert(0, str(BENCHMARKS))
    from stand_in import stand_in

    folder = tmp_path_factory.mktemp("large")
    stand_in(folder / "data", SHAPE, 5, TRAIN, TEST)
    names = {"dataset": "data", "partition": "iid", "seed": 0, "study": "s", "scale": "paper"}
    files = {"npz": folder / "partition.npz", "csv": folder / "partition.csv"}
    make_partition(
        dataset=folder / "data", scheme=Plugin("iid"), clients=CLIENTS, partition_seed=0,
        samples=UsedSamples(seed=0), identity=names, **files,
    )  # fmt: skip
    write_weights(
        folder / "initial.safetensors", random_model("resnet", MODEL, SHAPE, 5, seed=0).state_dict()
    )
    return folder


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("stage", ["train", "weights", "analysis"])
def test_a_stage_takes_a_fraction_of_the_images_as_memory(large, stage):
    done = subprocess.run(
        [sys.executable, __file__, stage, str(large)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},  # with the helpers
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < TRAIN * np.prod(SHAPE) / MEGABYTE / 4


def own_memory() -> int:
    """Bytes of this process that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@contextmanager
def watched():
    """Print how much own memory the block takes at its peak."""
    before, peak, ended = own_memory(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.002):
            peak[0] = max(peak[0], own_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    print((peak[0] - before) / MEGABYTE)


def train(folder: Path) -> None:
    """A run of a few clients, and evaluations of everything."""
    with watched():
        run_once(
            folder,
            out=f"out-{os.getpid()}",
            model="resnet",
            model_settings=MODEL,
            rounds=3,
            evaluate_every=3,
            local_epochs=1,
            batch_size=2,
            client_paths=False,
            participation=1 / CLIENTS,
        )


def weights(folder: Path) -> None:
    """What is measured on all of the clients' images beside training."""
    training = TrainingSettings(rounds=1, weights="inverse-input-variance")
    with watched():
        samples = RunSamples.open(folder / "data", folder / "partition.npz", CPU)
        source = BatchSource(samples.splits["train"], training, batch_statistics=False)
        source.normalisation(np.arange(TRAIN))
        input_variances(samples.splits["train"], [np.arange(TRAIN)])


def analysis(folder: Path) -> None:
    """A model evaluated on all samples, and a Hessian product of which nothing is kept."""
    with watched():
        problem = open_problem(
            ProblemSpec(Plugin("resnet", MODEL), folder / "data", folder / "partition.npz")
        )
        parameters, buffers = dict(problem.module.named_parameters()), dict(problem.module.named_buffers())
        evaluate(problem.module, parameters, buffers, problem.train)
        some = EvaluationSet.from_dataset(open_dataset(folder / "data"), "train", np.arange(64, 192), CPU)
        layout, vector, buffers = state_of(problem.module)
        HessianProduct(problem.module, layout, vector, buffers, some, kept_bytes=0)(vector)


if __name__ == "__main__":
    torch.set_num_threads(1)
    on_disk.MOST_COPIED = COPIED
    {"train": train, "weights": weights, "analysis": analysis}[sys.argv[1]](Path(sys.argv[2]))
