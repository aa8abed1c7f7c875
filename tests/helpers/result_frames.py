"""Rows of tables/runs.csv whose accuracies are known: by start, method, partition and seed."""

from run_frames import runs_frame

STARTS = {"random": 0.0, "pretrained": 0.05}


def results_frame(partitions, methods=("fedavg",), seeds=(0, 1), grid=None):
    """Accuracy of a partition, plus that of the start, minus 0.02 a method, plus 0.01 a seed."""
    return runs_frame(
        *(
            {
                "partition": partition, "init": init, "method": method, "seed": seed, "grid": grid,
                "test_accuracy": base + bonus - 0.02 * index + 0.01 * seed,
            }
            for partition, base in partitions.items()
            for init, bonus in STARTS.items()
            for index, method in enumerate(methods)
            for seed in seeds
        )
    )  # fmt: skip
