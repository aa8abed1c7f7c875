"""FEMNIST from small json files in LEAF's format, whole and broken ones."""

import hashlib
import json

import numpy as np
import pytest
from leaf_files import leaf_file, write_leaf

from fedscape.data.datasets import femnist
from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin


def drawings(count: int, seed: int) -> np.ndarray:
    """Bytes [count, 784]."""
    return np.random.default_rng(seed).integers(0, 256, (count, 784), dtype=np.uint8)


def samples(images: np.ndarray, labels: list[int]) -> dict:
    """As LEAF writes them: bytes divided by 255, white is 1."""
    return {"x": (images / 255).tolist(), "y": labels}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "femnist"
    nothing = {"x": [], "y": []}
    write_leaf(folder, "train", "b", leaf_file({"f10": samples(drawings(3, 0), [0, 61, 36]), "f2": nothing}))
    write_leaf(folder, "train", "a", leaf_file({"f07": samples(drawings(2, 1), [10, 35])}))
    write_leaf(
        folder,
        "test",
        "a",
        leaf_file({"f10": samples(drawings(1, 2), [9]), "f99": samples(drawings(1, 3), [1])}),
    )
    return folder


def opened(tmp_path):
    prepare_dataset("writers", Plugin("femnist"), tmp_path, tmp_path / "out")
    return open_dataset(tmp_path / "out")


def refusal(tmp_path) -> str:
    with pytest.raises(FedscapeError) as error:
        opened(tmp_path)
    message = str(error.value)
    assert "\n" not in message and message.startswith("writers: ")
    return message


def test_bytes_come_back_and_writers_are_clients(tmp_path, folder):
    data = opened(tmp_path)
    assert data.shape == (1, 28, 28) and data.train_inputs.dtype == np.uint8
    expected = np.concatenate([drawings(2, 1), drawings(3, 0)])  # writers in the order of their names
    assert np.array_equal(data.train_inputs.reshape(-1, 784), expected)
    assert data.train_labels.tolist() == [10, 35, 0, 61, 36]
    assert data.train_clients.tolist() == [0, 0, 1, 1, 1]
    assert np.array_equal(data.test_inputs.reshape(-1, 784), np.concatenate([drawings(1, 2), drawings(1, 3)]))
    assert data.test_labels.tolist() == [9, 1]
    assert "".join(data.classes) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    recorded = json.loads((tmp_path / "out/dataset.json").read_text())
    assert sorted(recorded["sources"]) == [
        "femnist/test/a.json",
        "femnist/train/a.json",
        "femnist/train/b.json",
    ]
    content = (folder / "train/b.json").read_bytes()
    assert recorded["sources"]["femnist/train/b.json"] == hashlib.md5(content).hexdigest()


def test_every_byte_survives_division_by_255(tmp_path, folder):
    every = np.resize(np.arange(256, dtype=np.uint8), (1, 784))
    write_leaf(folder, "test", "a", leaf_file({"f1": samples(every, [0])}))
    assert np.array_equal(opened(tmp_path).test_inputs.reshape(1, 784), every)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({"x": [[0.5] * 783], "y": [1]}, "user_data.f1.x: lists of 784 numbers from 0 to 1 are wanted, found the shape (783,)"),
        ({"x": [[0.5] * 784, [0.5]], "y": [1, 2]}, "user_data.f1.x: lists of 784 numbers from 0 to 1 are wanted ("),
        ({"x": [["a"] * 784], "y": [1]}, "user_data.f1.x: lists of 784 numbers"),
        ({"x": [0.5], "y": [1]}, "user_data.f1.x: lists of 784 numbers from 0 to 1 are wanted, found the shape ()"),
        ({"x": [[0.5] * 783 + [255]], "y": [1]}, "user_data.f1.x: lists of 784 numbers from 0 to 1 are wanted, found 255"),
        ({"x": [[float("nan")] * 784], "y": [1]}, "wanted, found nan"),
        ({"x": [[0.5] * 784], "y": [62]}, "user_data.f1.y: 62, where a whole number from 0 to 61 is wanted"),
        ({"x": [[0.5] * 784], "y": [True]}, "user_data.f1.y: True, where a whole number"),
        ({"x": [[0.5] * 784], "y": ["7"]}, "user_data.f1.y: '7', where a whole number"),
        ({"x": [[0.5] * 784], "y": []}, "user_data.f1: 1 in x and 0 in y"),
        ({"x": {}, "y": []}, "user_data.f1.x: missing, or not a list"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_the_key(tmp_path, folder, user, message):
    write_leaf(folder, "test", "wrong", leaf_file({"f1": user}))
    found = refusal(tmp_path)
    assert f"{folder / 'test/wrong.json'}: " in found and message in found


def test_missing_and_empty_files(tmp_path, folder):
    write_leaf(folder, "test", "a", leaf_file({}))
    assert f"{folder}: no user has a sample in test" in refusal(tmp_path)
    (folder / "test/a.json").write_text("{")
    assert f"{folder / 'test/a.json'}: not valid JSON" in refusal(tmp_path)
    (folder / "test/a.json").unlink()
    found = refusal(tmp_path)
    assert f"no {folder / 'test'}/*.json found" in found and "femnist/preprocess.sh" in found


def test_settings_are_checked():
    with pytest.raises(ValueError, match="folder must name a folder with"):
        femnist.Settings(folder="")
