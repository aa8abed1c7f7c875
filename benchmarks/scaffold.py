"""FedAvg against SCAFFOLD on CIFAR-10 with the 62,006-parameter CNN: does the published order hold?

The setting is that of NIID-Bench and its Flower baseline: 10 clients, Dirichlet(0.5) per class, 10 local
epochs, batch 64, SGD with rate 0.01, momentum 0.9 and weight decay 1e-5. They report best test accuracies
after 50 rounds of 62.5 +- 0.4 (FedAvg) and 68.1 +- 1.0 (SCAFFOLD) in one code, 68.2 and 69.8 in the other.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/scaffold.py FOLDER --data-root ROOT [--rounds 50] [--seed 0]

ROOT holds `cifar-10-batches-py`. The two runs are processes side by side, a thread each; killed and called
again, they go on. An hour each on a 2-core machine.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch

from fedscape.data.partition import make_partition
from fedscape.data.prepare import prepare_dataset
from fedscape.federated.initial import make_initial
from fedscape.federated.train import train_run
from fedscape.study.training import TrainingSettings

ALGORITHMS = {"fedavg": "size", "scaffold": "uniform"}  # with the aggregation weights of their papers
CLIENTS, ALPHA = 10, 0.5
OUTPUTS = {
    "trajectory": "trajectory.safetensors",
    "clients": "clients.safetensors",
    "rounds": "rounds.csv",
    "final": "final.safetensors",
    "timing": "timing.csv",
    "run": "run.json",
}


def identity(algorithm: str, seed: int) -> dict[str, object]:
    """Identifying columns of the tables."""
    return {
        "study": "benchmark",
        "scale": "paper",
        "dataset": "cifar10",
        "model": "cnn",
        "partition": f"dir{ALPHA}",
        "init": "random",
        "method": algorithm,
        "seed": seed,
    }


def prepare(folder: Path, data_root: Path, seed: int) -> None:
    """Data set, partition and start, which both runs share."""
    if not (folder / "cifar10").exists():
        prepare_dataset(
            name="cifar10", kind="cifar10", settings={}, data_root=data_root, folder=folder / "cifar10"
        )
    shared = folder / f"seed{seed}"
    shared.mkdir(exist_ok=True)
    make_partition(
        dataset_folder=folder / "cifar10",
        scheme="dirichlet-per-class",
        clients=CLIENTS,
        settings={"alpha": ALPHA},
        seed=seed,
        partition_seed=seed,
        images=None,
        test_images=None,
        validation=0.0,
        identity=identity("*", seed),
        npz=shared / "partition.npz",
        csv=shared / "partition.csv",
    )
    make_initial(
        kind="random",
        settings={},
        dataset=folder / "cifar10",
        model="cnn",
        model_settings={},
        seed=seed,
        device="cpu",
        fingerprint="",
        out=shared / "initial.safetensors",
        resume=shared / "initial",
    )


def train(folder: Path, algorithm: str, rounds: int, seed: int) -> None:
    """One of the two runs."""
    torch.set_num_threads(1)
    shared = folder / f"seed{seed}"
    out = shared / algorithm
    train_run(
        identity=identity(algorithm, seed),
        dataset=folder / "cifar10",
        partition=shared / "partition.npz",
        initial=shared / "initial.safetensors",
        model="cnn",
        model_settings={},
        algorithm=algorithm,
        algorithm_settings={},
        server="average",
        server_settings={},
        training=TrainingSettings(
            rounds=rounds,
            local_epochs=10,
            batch_size=64,
            lr=0.01,
            momentum=0.9,
            weight_decay=1e-5,
            weights=ALGORITHMS[algorithm],
        ),
        seed=seed,
        order_seed=seed,
        keep_rounds=[],
        client_rounds=[],
        client_paths=False,
        device="cuda" if torch.cuda.is_available() else "cpu",
        fingerprint=f"{algorithm} {rounds} {seed}",
        resume=out / "resume",
        **{name: out / file for name, file in OUTPUTS.items()},
    )


def report(folder: Path, seed: int) -> None:
    """Test accuracies, whether the runs have ended or are under way."""
    for algorithm in ALGORITHMS:
        out = folder / f"seed{seed}" / algorithm
        table = out / "rounds.csv"
        rounds = pd.read_csv(table if table.exists() else out / "resume" / "rounds.csv")
        best = rounds.loc[rounds["test_accuracy"].idxmax()]
        last = rounds.iloc[-1]
        print(
            f"{algorithm}: best test accuracy {best['test_accuracy']:.4f} after round {best['round']}, "
            f"last {last['test_accuracy']:.4f} after round {last['round']}, "
            f"train loss there {last['train_loss']:.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where everything goes; may hold earlier rounds")
    parser.add_argument("--data-root", type=Path, required=True, help="holds cifar-10-batches-py")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--algorithm", choices=ALGORITHMS, help="train only this one, here")
    parser.add_argument("--report", action="store_true", help="only print how far the runs are")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    if chosen.algorithm:
        train(chosen.folder, chosen.algorithm, chosen.rounds, chosen.seed)
        return
    if not chosen.report:
        prepare(chosen.folder, chosen.data_root, chosen.seed)
        processes = [
            subprocess.Popen([sys.executable, *sys.argv, "--algorithm", algorithm])
            for algorithm in ALGORITHMS
        ]
        codes = [process.wait() for process in processes]
        if any(codes):
            sys.exit("a run has stopped; call again to go on")
    report(chosen.folder, chosen.seed)


if __name__ == "__main__":
    main()
