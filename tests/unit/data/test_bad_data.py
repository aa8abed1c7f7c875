"""Prepared data and partitions that are damaged, foreign or of each other's neighbours."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from broken_input import GONE, changed, refusal
from small_run import write_noise, write_partition

from fedscape.data.checksums import PREPARE
from fedscape.data.partition import open_partition
from fedscape.data.storage import open_dataset

DESCRIPTIONS = [
    ("shape", GONE, "'shape'"),
    ("shape", 5, "'int' object is not iterable"),
    ("shape", [1, "8", 8], "train-inputs.npy: uint8 (56, 1, 8, 8) instead of uint8 (56, 1, '8', 8)"),
    ("shape", [64], "train-inputs.npy: uint8 (56, 1, 8, 8) instead of int32 (56, 64)"),
    ("train", "many", "train-inputs.npy: uint8 (56, 1, 8, 8) instead of"),
    ("train", 55, "train-inputs.npy: uint8 (56, 1, 8, 8) instead of uint8 (55, 1, 8, 8)"),
    ("natural_clients", 3, "train-clients.npy: int32 (0,) instead of int32 (56,)"),
    ("classes", ["a", "b"], "train-labels.npy: labels outside 0 to 1; prepare the data set again"),
    ("classes", 3, "'int' object is not iterable"),
    ("mean", [], "mean and std are not of 1 channels"),
    ("std", ["dark"], "could not convert string to float: 'dark'"),
    ("files", [], "'list' object has no attribute 'items'"),
    ("files/train-inputs.npy", GONE, "'train-inputs.npy'"),
    ("files/train-inputs.npy/bytes", 1, "train-inputs.npy: truncated or foreign, 3712 bytes instead of 1; prepare the data set again"),
    ("files/train-inputs.npy/crc32", GONE, "'crc32'"),
    ("name", GONE, "'name'"),
    ("name", "other", "dataset.json: altered since it was written; prepare the data set again"),
    ("kind", [], "dataset.json: altered since it was written; prepare the data set again"),
    ("mean", [0.25], "dataset.json: altered since it was written; prepare the data set again"),
    ("natural_clients", None, "dataset.json: altered since it was written; prepare the data set again"),
    ("files/test-inputs.npy/crc32", [], "dataset.json: altered since it was written; prepare the data set again"),
    ("crc32", GONE, "dataset.json: altered since it was written; prepare the data set again"),
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_noise(folder / "data")
    write_partition(folder / "partition.npz")
    return folder


@pytest.fixture
def data(whole, tmp_path):
    """A data set of 56 train and 10 test images, to be damaged."""
    return shutil.copytree(whole / "data", tmp_path / "data")


@pytest.mark.parametrize(("place", "value", "message"), DESCRIPTIONS)
def test_a_wrong_description_is_named(data, place, value, message):
    description = data / "dataset.json"
    description.write_text(json.dumps(changed(json.loads(description.read_text()), place, value)))
    said = refusal(open_dataset, data)
    assert said.startswith(str(data)) and message in said and "again" in said


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"data"', "[" * 100_000, "\ufeff{}"])
def test_a_description_that_is_none_is_named(data, text):
    (data / "dataset.json").write_text(text)
    said = refusal(open_dataset, data)
    assert said.startswith(f"{data}/dataset.json: not a whole JSON object (")
    assert said.endswith("; delete the file to have it rebuilt")


@pytest.mark.parametrize("labels", [[-1], [3]])
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_that_no_class_has_are_named(data, split, labels):
    file = data / f"{split}-labels.npy"
    array = np.load(file)
    array[-1:] = labels
    np.save(file, array)
    assert refusal(open_dataset, data) == f"{file}: labels outside 0 to 2; {PREPARE}"


@pytest.mark.parametrize("file", ["train-inputs.npy", "train-labels.npy"])
@pytest.mark.parametrize("content", [b"\0", b"\x93NUMPY\x01\0", b"PK\x03\x04", b"\x80\x04\x95"])
def test_an_array_of_the_right_size_that_is_none_is_named(data, file, content):
    size = (data / file).stat().st_size
    (data / file).write_bytes(content + b"\0" * (size - len(content)))
    said = refusal(open_dataset, data)
    assert said.startswith(f"{data / file}: ") and said.endswith(f"; {PREPARE}")


# Partitions


def rewritten(path, **changes):
    with np.load(path) as arrays:
        kept = {name: array for name, array in arrays.items() if changes.get(name) is not GONE}
    np.savez(path, **(kept | {name: value for name, value in changes.items() if value is not GONE}))


PARTITIONS = {
    "no test samples": ({"test": GONE}, "test"),
    "samples of another type": ({"train": np.zeros(4)}, "train is float64 [4], not a list of whole numbers"),
    "samples in a table": ({"test": np.zeros((2, 2), int)}, "test is int64 [2, 2], not a list of whole numbers"),
    "objects": ({"test": np.array([0, "a", None], dtype=object)}, "Object arrays cannot be loaded"),
    "a sample that is not there": ({"test": np.array([10])}, "test holds a sample twice, or one that is not there"),
    "a sample before the first": ({"validation": np.array([-1])}, "validation holds a sample twice, or one"),
    "a sample twice": ({"test": np.array([1, 1])}, "test holds a sample twice, or one that is not there"),
    "a sample of two clients": ({"indices": np.zeros(44, int)}, "indices holds a sample twice"),
    "offsets past the end": ({"offsets": np.array([0, 99])}, "offsets do not cut the indices into clients"),
    "offsets back and forth": ({"offsets": np.array([0, 30, 20, 44])}, "offsets do not cut the indices"),
    "offsets that begin late": ({"offsets": np.array([3, 44])}, "offsets do not cut the indices into clients"),
    "a client without samples": ({"offsets": np.array([0, 20, 20, 44])}, "offsets do not cut the indices"),
    "no offsets": ({"offsets": np.array([], int)}, "index 0 is out of bounds"),
}  # fmt: skip


@pytest.mark.parametrize("case", PARTITIONS)
def test_a_wrong_partition_is_named(whole, tmp_path, case):
    changes, message = PARTITIONS[case]
    path = shutil.copy(whole / "partition.npz", tmp_path / "p.npz")
    rewritten(path, **changes)
    said = refusal(open_partition, path, open_dataset(whole / "data"))
    assert said.startswith(f"{path}: not a whole partition file (") and message in said
    assert said.endswith("; delete the file to have it rebuilt")


@pytest.mark.parametrize(
    "how", ["another file", "an array", "a zip of nothing", "a flipped bit", "locked", "a folder"]
)
def test_a_file_that_is_no_partition_is_named(whole, tmp_path, how):
    path = tmp_path / "p.npz"
    content = bytearray((whole / "partition.npz").read_bytes())
    if how == "another file":
        path.write_bytes(b"client,samples\n0,4\n")
    elif how == "an array":
        with path.open("wb") as file:
            np.save(file, np.arange(3))
    elif how == "a zip of nothing":
        zipfile.ZipFile(path, "w").close()
    elif how == "a folder":
        path.mkdir()
    else:
        start = content.index(b"train.npy")
        if how == "locked":
            for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # of a zip's two headers of a file
                at = content.index(mark)
                content[at + place] |= 1
        else:
            content[start + 200] ^= 4
        path.write_bytes(content)
    said = refusal(open_partition, path, open_dataset(whole / "data"))
    assert said.startswith(f"{path}: ")
