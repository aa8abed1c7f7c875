"""Shapes and numbers of samples of data sets, as far as they are known before these are prepared."""

from functools import cache
from pathlib import Path

from fedscape.command.lenient_readers import count
from fedscape.regular import json_object
from fedscape.study.catalog import constant
from fedscape.study.stages.data import dataset_file
from fedscape.study.study import Study

SHAPES = {  # of data sets whose shape their name decides: nothing needs to be prepared to know it
    "digits": (1, 8, 8),
    "mnist": (1, 28, 28),
    "fashion-mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    "imagenet-32": (3, 32, 32),
}


class NotPrepared(Exception):
    """A property of a data set that is not known before it is prepared."""


def input_shape(study: Study, dataset: str) -> tuple[int, ...] | None:
    """The shape of a data set's samples; None if it must be prepared before anyone knows."""
    raw, prepared = study.datasets[dataset], _prepared(dataset)
    if prepared:
        return tuple(prepared["shape"])
    size = raw.preprocessing.resize
    if "size" in raw.settings:  # images of a folder, resized
        shape = (3, raw.settings["size"], raw.settings["size"])
    else:
        shape = SHAPES.get(raw.kind)
    return (shape[0], size, size) if shape and size else shape


def shape_of(study: Study, dataset: str) -> str:
    """The same in words, such as `3x32x32`; NotPrepared where nobody knows."""
    shape = input_shape(study, dataset)
    if shape is None:
        raise NotPrepared(f"the shape of {dataset} is known once it is prepared")
    return "x".join(map(str, shape))


def samples_of(study: Study, dataset: str, whole: bool = False) -> dict[str, int]:
    """How many train samples (those of validation taken out) and test samples are used of a data set.

    whole: not only those that the study takes of it. Raises NotPrepared where nobody knows.
    """
    raw, prepared = study.datasets[dataset], _prepared(dataset)
    sizes = {}
    for split, name, subsets in (
        ("train", "TRAIN_SAMPLES", study.images),
        ("test", "TEST_SAMPLES", study.test_images),
    ):
        known = constant("dataset", raw.kind, name)
        size = prepared.get(split) or (known[raw.settings["part"]] if isinstance(known, dict) else known)
        size = (None if whole else subsets.get(dataset)) or size
        if size is None:
            raise NotPrepared(f"how many samples {dataset} has is known once it is prepared")
        sizes[split] = size
    held_out = 0 if whole else round(sizes["train"] * study.validation)
    return {**sizes, "train": sizes["train"] - held_out, "validation": held_out}


def _prepared(dataset: str) -> dict:
    """What the description of the prepared arrays says; nothing where there are none."""
    path = dataset_file(dataset)
    try:
        state = Path(path).stat()
    except OSError:
        return {}
    return _described(path, (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))


@cache
def _described(path: str, state: tuple[int, ...]) -> dict:
    """The same of a file in this state, read once for all jobs: a text's has tens of thousands of classes."""
    content = json_object(path)
    shape, sizes = content.get("shape"), [content.get(split, 0) for split in ("train", "test")]
    whole = isinstance(shape, list) and None not in map(count, [*shape, *sizes])
    return content if whole else {}
