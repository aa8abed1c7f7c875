"""Partitions: the samples that a run trains, validates and tests on, and each client's share of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fedscape.columns.csvs import write_csv
from fedscape.data.storage import Dataset, open_dataset
from fedscape.errors import FedscapeError
from fedscape.files import atomic, reading
from fedscape.jobs.streams import stream
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples

MOST_ROWS = 1_000_000
"""Rows of a CSV with a row per client and class, about 100 MB: 10,000 words of 10,000 clients take 10 GB."""


@dataclass(frozen=True)
class Partition:
    """Sorted int64 indices into a data set's train arrays (`test`: into its test arrays)."""

    train: np.ndarray  # [n] the train set; the same for all partitions of one seed
    validation: np.ndarray  # [v] held out of it, possibly empty
    test: np.ndarray  # [t]
    clients: tuple[np.ndarray, ...]  # per client, disjoint; together within `train`, not always all of it


def make_partition(
    *,
    dataset: str | Path,
    scheme: Plugin,
    clients: int | None,
    partition_seed: int,
    samples: UsedSamples,
    identity: Mapping[str, object],
    npz: str | Path,
    csv: str | Path,
) -> None:
    """Draw a partition and write it (`npz`) with its table of client x class counts (`csv`).

    dataset: folder of a prepared data set. scheme: a plug-in ``data/partitions/<kind>.py``.
    clients: how many; None only where the data set brings its own.
    partition_seed: for the split itself; another one gives another partition of the same train set.
    identity: identity columns of the csv; model, init and method become `*`.
    Raises FedscapeError: more images or clients than there are, an empty client, no draw within the bounds.
    """
    data = open_dataset(dataset)
    where = f"partition {identity['partition']} ({scheme.kind}) of {data.name}"
    try:
        train, validation = _train_and_validation(len(data.train_labels), samples)
        test = np.sort(_drawn(len(data.test_labels), samples.test_images, "test_images", samples.seed))
        plugin, settings = scheme.load("data.partitions")
        if data.train_labels.ndim > 1 and getattr(plugin, "BY_LABEL", False):
            raise FedscapeError("deals by label, of which a sequence has many; use iid, quantity or natural")
        natural = data.train_clients[train] if len(data.train_clients) else data.train_clients
        rng = stream(partition_seed, "partition")
        positions = plugin.split(data.train_labels[train], clients, settings, rng, natural)
        for client, part in enumerate(positions):
            if len(part) == 0:
                raise FedscapeError(f"client {client} of {len(positions)} got no sample; use fewer clients")
    except FedscapeError as error:
        raise FedscapeError(f"{where}: {error}") from error

    parts = [train[part] for part in positions]
    with atomic(npz) as temporary, temporary.open("wb") as file:  # a path, np.savez would rename
        np.savez(
            file,
            train=train,
            validation=validation,
            test=test,
            indices=np.concatenate(parts),
            offsets=np.cumsum([0, *map(len, parts)]),
        )
    write_csv(csv, _class_counts(data, parts, identity), sort_by=["client", "class"])


def open_partition(npz: str | Path, dataset: Dataset) -> Partition:
    """Read a partition of a data set; a file that is missing, truncated or of another set is named."""
    if not Path(npz).is_file():
        raise FedscapeError(f"{npz}: partition not found")
    # opened here, because np.load leaves a file open that it finds broken
    with reading(npz, "partition file"), Path(npz).open("rb") as file:
        with np.load(file, allow_pickle=False) as arrays:
            train, validation, test, indices, offsets = (
                arrays[key] for key in ("train", "validation", "test", "indices", "offsets")
            )
        for key, samples, within in (
            ("train", train, np.arange(len(dataset.train_labels))),
            ("validation", validation, np.arange(len(dataset.train_labels))),
            ("test", test, np.arange(len(dataset.test_labels))),
            ("indices", indices, train),
        ):
            _check_samples(key, samples, within)
        if (
            offsets.dtype != np.int64
            or offsets[0]
            or offsets[-1] != len(indices)
            or (np.diff(offsets) < 1).any()
        ):
            raise ValueError("offsets do not cut the indices into clients")
        return Partition(train, validation, test, tuple(np.split(indices, offsets[1:-1])))


def _check_samples(key: str, samples: np.ndarray, within: np.ndarray) -> None:
    """Raise ValueError unless `samples` are distinct int64 numbers out of `within` [n]."""
    if samples.dtype != np.int64 or samples.ndim != 1:
        raise ValueError(f"{key} is {samples.dtype} {list(samples.shape)}, not a list of whole numbers")
    if len(np.unique(samples)) < len(samples) or not np.isin(samples, within).all():
        raise ValueError(f"{key} holds a sample twice, or one that is not there")


def _drawn(available: int, count: int | None, key: str, seed: int) -> np.ndarray:
    """`count` of `available` indices (None: all), in the order drawn."""
    if count is not None and not 1 <= count <= available:
        raise FedscapeError(f"{key}: {count}, but the data set has {available}; allowed are 1 to {available}")
    return stream(seed, key.replace("_", "-")).permutation(available)[:count]


def _train_and_validation(available: int, samples: UsedSamples) -> tuple[np.ndarray, np.ndarray]:
    """Sorted train and validation indices; neither depends on the partition."""
    drawn = _drawn(available, samples.images, "images", samples.seed)
    if not 0 <= samples.validation < 1:
        raise FedscapeError(f"validation: {samples.validation}; allowed is a share from 0 to below 1")
    held_out = round(samples.validation * len(drawn))
    if held_out == len(drawn):
        raise FedscapeError(
            f"validation: {samples.validation} of {len(drawn)} images leaves none to train on"
        )
    return np.sort(drawn[held_out:]), np.sort(drawn[:held_out])


def _class_counts(dataset: Dataset, parts: list[np.ndarray], identity: Mapping[str, object]) -> pd.DataFrame:
    """A row per client and class, zeros included; of sequences the tokens are counted.

    Where that would be too many rows, there is one per client with all classes together: class -1, named `*`.
    """
    numbers, names = range(len(dataset.classes)), list(dataset.classes)
    if len(parts) * len(names) > MOST_ROWS:
        numbers, names = [-1], ["*"]
        counts = [np.array([dataset.train_labels[part].size]) for part in parts]
    else:
        counts = [np.bincount(dataset.train_labels[part].ravel(), minlength=len(names)) for part in parts]
    frame = pd.DataFrame(
        {**identity, "model": "*", "init": "*", "method": "*"}, index=range(len(parts) * len(names))
    )
    frame["client"] = np.repeat(np.arange(len(parts)), len(names))
    frame["class"] = np.tile(numbers, len(parts))
    frame["class_name"] = names * len(parts)
    frame["samples"] = np.concatenate(counts)
    return frame
