"""Stages `dataset` and `partition`: prepared arrays, and which client holds which sample."""

from collections.abc import Iterator
from pathlib import Path

from fedscape.settings.plain import to_plain
from fedscape.study.grid import Run
from fedscape.study.stages.stage import RESULTS, Files, Stage, Wildcards
from fedscape.study.study import Study

_DATASET = "results/data/{dataset}"
_ARRAYS = tuple(f"{split}-{what}" for split, what in (
    ("train", "inputs"), ("train", "labels"), ("train", "clients"), ("test", "inputs"), ("test", "labels")
))  # fmt: skip
_SPLIT = f"{RESULTS}/partitions/{{dataset}}/{{partition}}/seed{{seed}}"


def dataset_file(dataset: str) -> str:
    """What jobs take for a prepared data set: the file beside its arrays that has the md5 of each.

    One input in place of six: Snakemake's seconds and memory grow with the inputs of all jobs. Other arrays
    make another file, so the jobs that read them run again.
    """
    return DATASET.outputs["description"].format(dataset=dataset)


def missing_array(dataset: str) -> str | None:
    """The message about an array of a prepared data set that is gone; None where none is missing.

    No job asks Snakemake for an array, so the user does, and nothing else reruns.
    """
    arrays = (DATASET.outputs[array].format(dataset=dataset) for array in _ARRAYS)
    missing = next((path for path in arrays if not Path(path).exists()), None)
    return missing and f"{missing} not found; to have it rebuilt: snakemake --cores 1 --force {missing}"


def samples(study: Study, run: Run) -> Files:
    """The prepared data of a run, and which samples each client holds."""
    return {
        "dataset": dataset_file(run.dataset),
        "partition": PARTITION.file(study, run.names, "samples"),
    }


def _dataset_inputs(study: Study, wildcards: Wildcards) -> Files:
    return {}  # raw files are the user's


def _dataset_settings(study: Study, wildcards: Wildcards) -> dict:
    dataset = study.datasets[wildcards["dataset"]]
    return {"dataset": dataset.keys, "preprocessing": to_plain(dataset.preprocessing)}


def _datasets(study: Study) -> Iterator[Wildcards]:
    inits = dict.fromkeys(run.init for run in study.trained_runs)
    starts = [study.inits[init].start.settings for init in inits]
    proxies = [start["dataset"] for start in starts if "dataset" in start]
    for dataset in dict.fromkeys([*(run.dataset for run in study.runs), *proxies]):
        yield {"dataset": dataset}


def _partition_inputs(study: Study, wildcards: Wildcards) -> Files:
    return {"dataset": dataset_file(wildcards["dataset"])}


def _partition_settings(study: Study, wildcards: Wildcards) -> dict:
    entry = study.partitions[wildcards["partition"]]
    seed = int(wildcards["seed"])
    return {
        "partition": entry.scheme.keys,
        "clients": entry.clients,
        "seed": seed,
        "partition_seed": seed if entry.seed is None else entry.seed,
        "images": study.images[wildcards["dataset"]],
        "test_images": study.test_images[wildcards["dataset"]],
        "validation": study.validation,
    }


def _partitions(study: Study) -> Iterator[Wildcards]:
    splits = dict.fromkeys((run.dataset, run.partition, run.seed) for run in study.runs)
    for dataset, partition, seed in splits:
        yield {"dataset": dataset, "partition": partition, "seed": str(seed)}


DATASET = Stage(
    "dataset",
    outputs={
        "description": f"{_DATASET}/dataset.json",
        **{array: f"{_DATASET}/{array}.npy" for array in _ARRAYS},
    },
    inputs=_dataset_inputs,
    settings=_dataset_settings,
    jobs=_datasets,
    shared=True,
    local=True,
)
PARTITION = Stage(
    "partition",
    outputs={"samples": f"{_SPLIT}.npz", "counts": f"{_SPLIT}.csv"},
    inputs=_partition_inputs,
    settings=_partition_settings,
    jobs=_partitions,
    local=True,
)
