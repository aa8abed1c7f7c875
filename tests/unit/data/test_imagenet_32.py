"""ImageNet at 32 x 32 pixels: small files in the public npz format, and what is wrong with others."""

import numpy as np
import pytest

from fedscape.data.datasets import imagenet_32
from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import BLOCK, open_dataset
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin


@pytest.fixture
def files(tmp_path):
    """Eleven files as they are published, the first with more images than a block; their images and labels."""
    folder, rng = tmp_path / "imagenet-32", np.random.default_rng(0)
    folder.mkdir()
    written = {}
    for file in (*imagenet_32.TRAIN, *imagenet_32.TEST):
        count = BLOCK + 5 if file == imagenet_32.TRAIN[0] else 3
        data = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = rng.integers(1, 1001, count)
        np.savez(folder / file, data=data, labels=labels, mean=data.mean(axis=0))
        written[file] = data, labels
    return folder, written


def prepared(tmp_path):
    prepare_dataset("imagenet-32", Plugin("imagenet-32"), tmp_path, tmp_path / "out")
    return open_dataset(tmp_path / "out")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_it_is_read_in_the_order_of_its_files(tmp_path, files, save):
    """Not `..._1`, `..._10`, `..._2`; channels first, and labels from 0."""
    folder, written = files
    data, labels = written["train_data_batch_10.npz"]
    save(folder / "train_data_batch_10.npz", data=data, labels=labels)
    opened = prepared(tmp_path)
    assert opened.shape == (3, 32, 32) and len(opened.classes) == 1000
    for inputs, found, names in (
        (opened.train_inputs, opened.train_labels, imagenet_32.TRAIN),
        (opened.test_inputs, opened.test_labels, imagenet_32.TEST),
    ):
        images = np.concatenate([written[name][0] for name in names])
        np.testing.assert_array_equal(inputs, images.reshape(-1, 3, 32, 32))
        np.testing.assert_array_equal(found, np.concatenate([written[name][1] for name in names]) - 1)
    assert opened.classes[opened.train_labels[0]] == str(written["train_data_batch_1.npz"][1][0])


IMAGES = np.zeros((3, 3072), np.uint8)
BAD = {
    "labels from 0": ({"data": IMAGES, "labels": np.array([0, 1, 2])}, "label 0, allowed are 1 to 1000"),
    "a label too many": ({"data": IMAGES, "labels": np.arange(1, 5)}, "wanted uint8 (4, 3072)"),
    "images of 64 x 64": (
        {"data": np.zeros((3, 12288), np.uint8), "labels": np.arange(1, 4)},
        "its images are uint8 (3, 12288)",
    ),
    "images as floats": ({"data": IMAGES / 255, "labels": np.arange(1, 4)}, "its images are float64"),
    "no images": ({"labels": np.arange(1, 4)}, "data.npy"),
    "pickled labels": ({"data": IMAGES, "labels": np.array([1, 2, 3], dtype=object)}, "or of objects"),
    "labels that are no numbers": ({"data": IMAGES, "labels": np.array(["a", "b", "c"])}, "its labels are"),
    "columns first": (
        {"data": np.asfortranarray(IMAGES), "labels": np.arange(1, 4)},
        "an array by columns",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_another_file_is_one_line_that_names_it(tmp_path, files, case):
    content, message = BAD[case]
    np.savez(files[0] / "val_data.npz", **content)
    refused(tmp_path, "val_data.npz", message)


@pytest.mark.parametrize("kept", [0, 100, -200])
def test_a_file_that_is_cut_off_is_named(tmp_path, files, kept):
    path = files[0] / "train_data_batch_3.npz"
    path.write_bytes(path.read_bytes()[:kept])
    refused(tmp_path, "train_data_batch_3.npz", "not a whole file of ImageNet-32")


def test_a_flipped_byte_among_the_images_is_found(tmp_path, files):
    path = files[0] / "train_data_batch_1.npz"
    content = bytearray(path.read_bytes())
    content[2_000_000] ^= 1
    path.write_bytes(content)
    refused(tmp_path, "train_data_batch_1.npz", "CRC")


def test_a_file_that_is_not_there_says_where_to_get_it(tmp_path, files):
    (files[0] / "train_data_batch_7.npz").unlink()
    refused(tmp_path, "train_data_batch_7.npz not found", "Imagenet32_train_npz.zip")


def refused(tmp_path, *words: str) -> None:
    with pytest.raises(FedscapeError) as error:
        prepared(tmp_path)
    message = str(error.value)
    assert "\n" not in message and all(word in message for word in words), message
    assert not (tmp_path / "out" / "dataset.json").exists()
